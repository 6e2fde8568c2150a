"""Views -> batches: cells prepared by the encoders, presence masks, codes, balanced domains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from bouba.batch import Batch, Inputs
from bouba.data.block_shuffle import block_permutation
from bouba.data.characters import class_name, one_form
from bouba.data.faults import decoded, lose
from bouba.data.labels import known_labels
from bouba.data.prepared import prepared_on_disk
from bouba.data.views import Views, is_missing
from bouba.data.workers import prepared_in_turn
from bouba.errors import DataError, UsageError

CHUNK = 512


class Prepares(Protocol):
    """What the loader needs of an encoder."""

    def prepare(self, cells: Sequence) -> Inputs: ...


@dataclass(frozen=True)
class Codes:
    """Names <-> numbers, fixed when a model is fitted and saved with it.

    Args:
        domains: domain names; the code of one is its place.
        classes: label column -> its classes, as they stand in the cells.
        shares: label column -> share of each class among the labelled rows.
        numbers: label column -> (mean, standard deviation), of columns that hold numbers.
    """

    domains: tuple[str, ...] = ()
    classes: Mapping[str, tuple[Any, ...]] | None = None
    shares: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    numbers: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Names of a model saved before there was one form are compared in it too."""
        object.__setattr__(self, "domains", _in_one_form(self.domains))
        if self.classes is not None:
            classes = {label: _in_one_form(names) for label, names in self.classes.items()}
            object.__setattr__(self, "classes", classes)

    @classmethod
    def of(cls, views: Views, numbers: Iterable[str] = ()) -> Codes:
        """Of all label columns; those in `numbers` hold numbers, the others classes."""
        numbers = list(numbers)
        counts = {name: Counter(map(class_name, known_labels(values))) for name, values in views.y.items()}
        counts = {name: count for name, count in counts.items() if name not in numbers}
        cells = {name: _in_order({class_name(v): _python(v) for v in known_labels(views.y[name])}) for name in counts}
        return cls(
            tuple(views.domains),
            {name: tuple(classes.values()) for name, classes in cells.items()},
            {name: tuple(counts[name][c] / counts[name].total() for c in classes) for name, classes in cells.items()},
            {name: _moments(name, known_labels(views.y[name])) for name in numbers},
        )


def _in_one_form(names: tuple) -> tuple:
    """The same names, texts in the form in which cells are; as they are where two would become one."""
    forms = tuple(one_form(name) if isinstance(name, str) else name for name in names)
    return forms if len(set(forms)) == len(names) else names


def _in_order(classes: Mapping[str, Any]) -> dict[str, Any]:
    """Classes by name, as scikit-learn orders them: numbers by size, all else by name."""
    sized = all(isinstance(c, int | float) for c in classes.values())
    return dict(sorted(classes.items(), key=lambda item: item[1] if sized else item[0]))


def _python(value) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _moments(name: str, cells: list) -> tuple[float, float]:
    try:
        numbers = np.array([float(cell) for cell in cells])
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if not len(numbers) or not np.isfinite(numbers).all():
        raise DataError(f"label {name!r} must hold numbers, got {cells[:3]!r:.60}; predict classes of it instead")
    return float(numbers.mean()), float(numbers.std()) or 1.0


def encode(values: np.ndarray, names: Sequence) -> Tensor:
    """Names (n,) -> int64 codes (n,); missing and unknown names are -1."""
    code = {class_name(name): i for i, name in enumerate(names)}
    return torch.tensor([-1 if is_missing(v) else code.get(class_name(v), -1) for v in values], dtype=torch.int64)


def standardise(values: np.ndarray, mean: float, scale: float) -> Tensor:
    """Numbers (n,) -> float32 (n,) in standard deviations from the mean; NaN where missing."""
    return torch.tensor([np.nan if is_missing(v) else (float(v) - mean) / scale for v in values], dtype=torch.float32)


class Rows:
    """All rows of Views as batches on demand. Prepared cells stay in memory when they fit into `memory` bytes, else on
    disk."""

    def __init__(self, views: Views, encoders: Mapping[str, Prepares], codes: Codes, *, memory: int = 2 << 30):
        self.views, self.encoders = views, encoders
        self.present = {name: torch.from_numpy(views[name].present.copy()) for name in encoders}
        self.domain = None if views.domain is None or not codes.domains else encode(views.domain, codes.domains)
        self.key = (
            None if views.key is None else encode(views.key, sorted({str(k) for k in views.key if not is_missing(k)}))
        )
        classes = codes.classes or {}
        self.y = {name: encode(views.y[name], names) for name, names in classes.items() if name in views.y}
        self.y |= {name: standardise(views.y[name], *of) for name, of in codes.numbers.items() if name in views.y}
        self.rows = torch.arange(len(views))
        self.cached = {
            name: cached for name in encoders if (cached := self._prepared(name, memory // len(encoders))) is not None
        }

    def __len__(self) -> int:
        return len(self.views)

    def _prepared(self, name: str, memory: int) -> Inputs | None:
        """Every prepared row of a view, mapped from disk where they do not fit; None where they do not fit there."""
        if not memory:
            return None
        chunks: list[Inputs] = []
        every = lambda: prepared_in_turn(self, name, self.rows.split(CHUNK))  # noqa: E731
        for chunk in every():
            chunks.append(chunk)
            a_row = sum(t[0].nbytes for t in chunks[-1].values())  # of the longest text so far, all are padded to it
            if a_row * len(self) > memory:
                encoder, size = self.encoders[name], a_row * len(self)
                found = prepared_on_disk(name, self.views[name], encoder, size, every)
                self.present[name] = torch.from_numpy(self.views[name].present)
                return found
        return {part: _join([chunk[part] for chunk in chunks]) for part in chunks[0]}

    def prepares_apart(self, names: Iterable[str]) -> bool:
        """Whether other processes may prepare these views: not where a network is run for it."""
        return all(getattr(self.encoders[name], "prepares_apart", True) for name in names)

    def prepare(self, name: str, rows: Tensor) -> tuple[Inputs, dict[int, str]]:
        """Prepared cells of some rows, zeros where they are missing; and row -> why its cell was lost by that."""
        column = self.views[name]
        before = column.present[rows.numpy()]
        inputs = self._prepare(name, rows)
        lost = rows[torch.from_numpy(before & ~column.present[rows.numpy()])].tolist()
        return inputs, {row: column.faults[int(column.index[row])] for row in lost}

    def lose(self, name: str, lost: Mapping[int, str]) -> None:
        """Cells that another process could not decode are missing from now on, here too."""
        column = self.views[name]
        new = {row: reason for row, reason in lost.items() if column.present[row]}
        if new:
            lose(name, column, new)
            self.present[name] = torch.from_numpy(column.present)

    def _prepare(self, name: str, rows: Tensor) -> Inputs:
        """Prepared cells of some rows; rows without the cell hold zeros. Cells that break are missing from now on."""
        encoder, column = self.encoders[name], self.views[name]
        read, prepared = decoded(name, column, rows.numpy(), encoder.prepare)
        if len(read) < int(self.present[name][rows].sum()):
            self.present[name] = torch.from_numpy(column.present)
        if prepared is None:  # shapes come from any cell that is present
            for first in np.flatnonzero(column.present).tolist():
                _, prepared = decoded(name, column, [first], encoder.prepare)
                if prepared is not None:
                    break
            self.present[name] = torch.from_numpy(column.present)
        if prepared is None:
            return {}  # the inputs of a view that no row has are never read
        if len(read) == len(rows):
            return prepared
        places, m = self.present[name][rows].nonzero(as_tuple=True)[0], len(read)
        return {p: t.new_zeros((len(rows), *t.shape[1:])).index_put((places,), t[:m]) for p, t in prepared.items()}

    def batch(self, rows: Tensor, prepared: Mapping[str, Inputs] = MappingProxyType({})) -> Batch:
        """Some rows, in this order; with inputs that were prepared elsewhere, by view."""
        inputs = {
            name: prepared[name]
            if name in prepared
            else {part: tensor.index_select(0, rows) for part, tensor in self.cached[name].items()}
            if name in self.cached
            else self._prepare(name, rows)
            for name in self.encoders
        }
        pick = lambda tensor: None if tensor is None else tensor[rows]  # noqa: E731
        return Batch(
            inputs=inputs,
            present={name: mask[rows] for name, mask in self.present.items()},
            rows=rows,
            y={name: code[rows] for name, code in self.y.items()},
            domain=pick(self.domain),
            key=pick(self.key),
        )


def _join(tensors: list[Tensor]) -> Tensor:
    """Concatenate along rows; sequences of different lengths are padded with 0 at the end."""
    if tensors[0].dim() == 2 and len({t.shape[1] for t in tensors}) > 1:
        longest = max(t.shape[1] for t in tensors)
        tensors = [torch.nn.functional.pad(t, (0, longest - t.shape[1])) for t in tensors]
    return torch.cat(tensors)


class Shuffled:
    """Rows of one epoch, batch by batch, the same for the same seed and epoch on every process.

    A batch holds `batch_size` rows and, with a `target` mask (n,), `target_size` rows of the target besides; the
    target goes round again until the others are through. Under several processes each takes every world-th row
    of a batch. A last batch of less than half is left out, and one that has no row for some process. The first `start`
    batches of an epoch are passed over. Rows that are fetched in blocks of `block` are mixed a few blocks at a time.

    Raises:
        UsageError: no batch has a row for every process.
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        *,
        seed: int,
        target: np.ndarray | None = None,
        target_size=0,
        rank=0,
        world=1,
        block: int | None = None,
    ):
        everything = np.arange(n)
        if target is None or not target.any():
            self.sides = [(everything, batch_size)]
        else:
            self.sides = [(everything[~target], batch_size), (everything[target], target_size)]
        self.seed, self.rank, self.world, self.epoch, self.start = seed, rank, world, 0, 0
        self.block = block
        rows = len(self.sides[0][0])
        self.batches = max(1, (2 * rows + batch_size) // (2 * batch_size))
        besides = sum(size for _, size in self.sides[1:])
        last = min(batch_size, rows - (self.batches - 1) * batch_size)
        if last + besides < world and self.batches > 1:
            self.batches, last = self.batches - 1, batch_size
        if last + besides < world:
            raise UsageError(f"batch_size={batch_size} of {rows} rows leaves none for some of {world} processes")

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self.seed, self.epoch])
        rounds = [self._endless(rows, size, random) for rows, size in self.sides]
        for number in range(self.start, self.batches):
            batch = np.concatenate([rows[number * size : (number + 1) * size] for rows, size in rounds])
            yield batch[self.rank :: self.world].tolist()

    def _endless(self, side: np.ndarray, size: int, random) -> tuple[np.ndarray, int]:
        """Enough rows for all batches, each round in a new order; the first side is gone through once."""
        once = side is self.sides[0][0]
        rounds = 1 if once else max(1, -(-self.batches * size // len(side)))
        return np.concatenate([block_permutation(side, random, self.block) for _ in range(rounds)]), size
