"""Table encoder: numbers and categories of one row, some of them missing, through an MLP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bouba.batch import Inputs
from bouba.data import decode
from bouba.data.augment import refuse_share
from bouba.data.characters import class_name
from bouba.errors import DataError, UsageError, nearest
from bouba.towers.portable import Port, Portable
from bouba.towers.spec import EncoderSpec, Learned
from bouba.towers.tower import Encoder
from bouba.towers.vector import fully_connected

MISSING, UNKNOWN, KNOWN = 0, 1, 2  # codes of a category; the known ones begin with the last


class TabularEncoder(Encoder):
    """Rows of a table -> standardised numbers (B, N), which are blank (B, N), codes of categories (B, C) -> features.

    A decoder gives back the standardised numbers, 0 where they are blank, and which category it is, one place each,
    whose mean square is 1; zeros for one that is missing or unknown.
    """

    offsets: Tensor
    whole: Tensor
    flagged: Tensor

    def __init__(self, spec: Tabular, learned: Learned):
        super().__init__()
        self.spec = spec
        self.numbers: dict[str, tuple[float, float]] = learned["numbers"]
        self.classes = {
            name: {c: KNOWN + i for i, c in enumerate(categories)} for name, categories in learned["classes"].items()
        }
        self.silent = set(learned["silent"])
        sizes = [KNOWN + len(codes) for codes in self.classes.values()]
        self.register_buffer("offsets", torch.tensor([0, *sizes]).cumsum(0)[: len(sizes)], persistent=False)
        self.embed = nn.Embedding(sum(sizes), spec.embedding)
        with torch.no_grad():  # these may never occur in training
            self.embed.weight[torch.cat([self.offsets + MISSING, self.offsets + UNKNOWN])] = 0.0
        whole = torch.tensor([name not in learned["gaps"] for name in (*self.numbers, *self.classes)])
        self.register_buffer("whole", whole, persistent=False)
        self.register_buffer("flagged", ~whole[: len(self.numbers)] | (spec.drop > 0), persistent=False)
        inside = 2 * len(self.numbers) + len(sizes) * spec.embedding
        self.layers = fully_connected(inside, spec.hidden, spec.dropout)
        self.width = spec.hidden[-1] if spec.hidden else inside
        self.raw_width = len(self.numbers) + sum(map(len, self.classes.values()))

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        rows = [self._row(cell) for cell in cells]
        values = np.array([[self._number(row, name) for name in self.numbers] for row in rows], np.float64)
        values = values.reshape(len(rows), len(self.numbers))
        codes = [[self._code(row, name) for name in self.classes] for row in rows]
        return {
            "values": torch.from_numpy(np.nan_to_num(values).astype(np.float32)),
            "blank": torch.from_numpy(np.isnan(values)),
            "codes": torch.tensor(codes, dtype=torch.int64).reshape(len(rows), len(self.classes)),
        }

    def _row(self, cell) -> Mapping[str, float | str]:
        """The columns that a cell has. DataError for a column the model was not trained on."""
        if not isinstance(cell, Mapping):
            if self.classes or np.shape(cell) != (len(self.numbers),):
                names = ", ".join([*self.numbers, *self.classes])
                raise DataError(
                    f"a row of a table with {names} is needed, got {cell!r:.40}; name its columns: table=..."
                )
            return dict(zip(self.numbers, map(float, cell)))  # numbers without a gap are read as vectors
        row = decode.record(cell)
        column_names: set[str] = {*self.numbers, *self.classes, *self.silent}
        unknown = next((name for name in row if name not in column_names), None)
        if unknown is not None:
            raise DataError(f"the model has no column {unknown!r} of a table{nearest(unknown, column_names)}")
        return row

    def _number(self, row: Mapping[str, float | str], name: str) -> float:
        """Standardised, NaN where it is missing."""
        value, (mean, scale) = row.get(name, np.nan), self.numbers[name]
        if isinstance(value, str):
            raise DataError(f"column {name!r} of a table held numbers in training, got {value!r:.40}")
        return (value - mean) / scale

    def _code(self, row: Mapping[str, float | str], name: str) -> int:
        if name not in row:
            return MISSING
        codes = self.classes[name]
        return codes.get(class_name(row[name]), codes.get(str(row[name]), UNKNOWN))  # as older models hold it

    def vary(self, inputs: Inputs) -> Inputs:
        spec, values, blank, codes = self.spec, inputs["values"], inputs["blank"], inputs["codes"]
        if spec.mask:
            values, blank = _masked((values, blank), spec.mask)
            (codes,) = _masked((codes,), spec.mask)
        if spec.noise:
            values = values + spec.noise * torch.randn_like(values)
        if spec.drop:
            uniform = torch.rand(len(values), len(self.whole), device=values.device)
            gone = (uniform < spec.drop) & self.whole  # (B, N + C)
            blank = blank | gone[:, : values.shape[1]]
            codes = codes.masked_fill(gone[:, values.shape[1] :], MISSING)
        return {"values": values, "blank": blank, "codes": codes}

    def raw(self, inputs: Inputs) -> Tensor:
        places = [
            F.one_hot(codes, KNOWN + len(categories))[:, KNOWN:] * len(categories) ** 0.5
            for codes, categories in zip(inputs["codes"].T, self.classes.values())
        ]
        return torch.cat([inputs["values"].masked_fill(inputs["blank"], 0.0), *places], 1)

    def portable(self) -> Portable:
        wide, named = len(self.numbers), len(self.classes)
        inputs = {"values": Port("float32", (wide,)), "blank": Port("bool", (wide,)), "codes": Port("int64", (named,))}
        preparation = {
            "how": "table",
            "values": {name: {"mean": mean, "scale": scale} for name, (mean, scale) in self.numbers.items()},
            "blank": "true where the number is missing; its value is then 0",
            "codes": {"missing": MISSING, "unknown": UNKNOWN, "columns": self.classes},
        }
        return Portable(self, {name: port for name, port in inputs.items() if port.shape != (0,)}, preparation)

    def forward(self, values: Tensor, blank: Tensor, codes: Tensor) -> Tensor:
        embedded = self.embed(codes + self.offsets).flatten(1)  # (B, C * embedding)
        return self.layers(torch.cat([values.masked_fill(blank, 0.0), (blank & self.flagged).float(), embedded], 1))


def _masked(columns: Sequence[Tensor], share: float) -> list[Tensor]:
    """Columns (B, n) in which a share of the places is replaced by the same place of a random row, alike in each."""
    uniform = torch.rand(columns[0].shape, device=columns[0].device)
    others = torch.rand_like(uniform).argsort(0)  # a permutation of the rows for each place
    return [column.gather(0, others).where(uniform < share, column) for column in columns]


@dataclass(frozen=True)
class Tabular(EncoderSpec):
    """Rows of a table through fully connected layers: numbers standardised, categories embedded, gaps flagged.

        x = [ (v_j - mean_j) / scale_j, or 0 where blank;  1 where blank, else 0;  embedding of each category ]

    A number that is missing enters as its mean *and* with its flag raised: the one place where bouba fills in, and the
    network reads the flag. A column whose cells are all numbers holds numbers, any other holds categories. A missing
    category has an embedding of its own, and so have all that are not in the training data, one for each column; where
    training has no missing one, it is zeros. For numbers without gaps use MLP on a vector view.

    Args:
        hidden: widths of the layers; with () the features are x itself.
        embedding: width of a category's embedding.
        classes: a column keeps so many of its categories, the most frequent; the rest count as unknown.
        categories: columns of numbers that are names, such as codes.
        dropout: probability of dropping a hidden unit while training.
        noise, mask: of the numbers, and of numbers and categories; see MLP.
        drop: probability in [0, 1) that a value is blanked while training, in the columns that never lack one; so the
            network learns what their gaps mean, and that of the others is left alone. With 0 such a gap counts as the
            mean, its flag down.

    Raises:
        UsageError: a column of texts that hardly ever repeat: read it as text.

    Reference: Gorishniy et al. 2021, Revisiting Deep Learning Models for Tabular Data (MLP with embeddings); Bahri et
    al. 2022 (`mask`).

    >>> rows = [{"age": 30, "city": "Bonn"}, {"age": None, "city": "Ulm"}, {"age": 50}]
    >>> tabular = Tabular(hidden=(), embedding=2)
    >>> encoder = tabular.build(tabular.learn(rows))
    >>> encoder(**encoder.prepare(rows))[:, :2].tolist()  # age in standard deviations, and whether it is blank
    [[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """

    kind: ClassVar[str] = "table"

    hidden: tuple[int, ...] = (256,)
    embedding: int = 16
    classes: int = 100
    categories: tuple[str, ...] = ()
    dropout: float = 0.1
    noise: float = 0.0
    mask: float = 0.0
    drop: float = 0.1

    def __post_init__(self) -> None:
        refuse_share("mask", self.mask)
        refuse_share("drop", self.drop)
        if self.noise < 0 or min(self.embedding, self.classes) < 1:
            raise UsageError(
                "noise is 0 or more, embedding and classes 1 or more; "
                f"got {self.noise}, {self.embedding} and {self.classes}"
            )

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        columns: dict[str, list] = {name: [] for cell in cells for name in cell}
        for cell in cells:
            for name, value in decode.record(cell).items():
                columns[name].append(value)
        unknown = next((name for name in self.categories if name not in columns), None)
        if unknown is not None:
            raise UsageError(f"no column {unknown!r} for categories{nearest(unknown, columns)}")
        present = {name: values for name, values in columns.items() if values}
        numbers = [n for n, v in present.items() if n not in self.categories and not any(isinstance(x, str) for x in v)]
        return {
            "numbers": {name: _moments(present[name]) for name in numbers},
            "gaps": [name for name, values in present.items() if len(values) < len(cells)],
            "classes": {
                name: self._frequent_categories(name, values) for name, values in present.items() if name not in numbers
            },
            "silent": [name for name in columns if name not in present],
        }

    def _frequent_categories(self, name: str, values: list) -> list[str]:
        """The categories of a column that are kept, most frequent first."""
        counts = Counter(map(class_name, values))
        if len(counts) > max(self.classes, len(values) // 2):
            raise UsageError(
                f"column {name!r} of a table holds {len(counts):,} different texts in {len(values):,} cells, which is "
                "more than a name; read it as text, or leave it out"
            )
        return sorted(counts, key=lambda c: (-counts[c], c))[: self.classes]

    def build(self, learned: Learned) -> TabularEncoder:
        return TabularEncoder(self, learned)


def _moments(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation; 1 for a column that is constant."""
    mean, scale = float(np.mean(values)), float(np.std(values))
    constant = scale <= max(1e-12, 8 * np.finfo(float).eps * abs(mean))  # no more than rounding
    return mean, 1.0 if constant else scale
