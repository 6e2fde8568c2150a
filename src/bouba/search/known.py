"""What training knew, as arrays: texts, and where they and their partners lie. By them words find rows without any."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from bouba import durable
from bouba.errors import DataError
from bouba.files import read_json
from bouba.metrics.hubs import csls_offsets
from bouba.metrics.similarity import unit_rows
from bouba.search.letters import Letters
from bouba.search.ways import Way, bridge, directions, row_vectors

# settled by `bouba bench words --settle` on questions made of training rows; so is that the three ways count alike
LETTERS_TAU = 0.05  # of cosines between letters
MEANING_TAU = 0.5  # standard deviations of the cosines between known texts
ASKING = 2000  # known cells that say how near a row is to every question
SHRINK = 10  # cells at the origin that a mean counts in, so that few cells do not decide it
SCALED_BY = 1000  # known cells whose scores say what a score is worth
BRIDGE = "bridge"
FORMAT = 1


@dataclass(frozen=True)
class Known:
    """Known things by their views.

    Args:
        kinds: view -> kind, of V views.
        indexed: the views that rows of the index have.
        means: (V, d) of directions. vectors: (V, n, d) directions without means, zeros where a thing lacks a view.
        meanings: text view -> (n, D) what an encoder makes of its texts before they are aligned, of length one, zeros
            where there is no text; only of views that have such an encoder.
        letters: text view -> the letters of its n texts.
        spreads: text view -> standard deviation of the cosines between two texts' meanings.
        scales: column of the offsets -> mean and standard deviation of the scores of known questions to known rows.
    """

    kinds: Mapping[str, str]
    indexed: tuple[str, ...]
    means: np.ndarray
    vectors: np.ndarray
    meanings: Mapping[str, np.ndarray]
    letters: Mapping[str, Letters]
    spreads: Mapping[str, float] = field(default_factory=dict)
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        kinds: Mapping[str, str],
        embeddings: Mapping[str, np.ndarray],
        texts: Mapping[str, Sequence[str]],
        meanings: Mapping[str, np.ndarray],
        indexed: Sequence[str],
    ) -> Known:
        """Things (n) by their embeddings (n, d) a view, zeros where one is missing.

        Args:
            texts: text view -> n texts, "" where one is missing. meanings: of those that have an encoder of their own.
        """
        units = {view: unit_rows(np.asarray(z, np.float64)) for view, z in embeddings.items()}
        means = [unit.sum(axis=0) / (np.count_nonzero(unit.any(axis=1)) + SHRINK) for unit in units.values()]
        vectors = [directions(unit, mean) for unit, mean in zip(units.values(), means, strict=True)]
        known = cls(
            {view: kinds[view] for view in embeddings},
            tuple(view for view in embeddings if view in indexed),
            np.stack(means).astype(np.float32),
            np.stack(vectors).astype(np.float32),
            {view: unit_rows(np.asarray(values)).astype(np.float32) for view, values in meanings.items()},
            {view: Letters.of(values) for view, values in texts.items()},
        )
        known = replace(known, spreads={view: _spread(known._meanings_of(view)) for view in texts})
        return replace(known, scales=known._measured_scales())

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """Name of an offset -> the known cells (m, d) that ask: those of a kind, and what texts are bridged by."""
        texts = [view for view, kind in self.kinds.items() if kind == "text"]
        cells = {
            kind: np.concatenate([self._vectors_of(view) for view, other in self.kinds.items() if other == kind])
            for kind in dict.fromkeys(self.kinds.values())
        }
        if texts and len(self.kinds) > 1:
            cells[BRIDGE] = np.concatenate([self.partners(view) for view in texts])
        return {name: _sample(rows[rows.any(axis=1)], ASKING) for name, rows in cells.items()}

    def placed(self, embeddings: Mapping[str, np.ndarray]) -> np.ndarray:
        """Rows (n, d) of the index from their embeddings (n, d) a view, zeros where one is missing."""
        means = dict(zip(self.kinds, self.means, strict=True))
        return row_vectors([embeddings[view] for view in embeddings], [means[view] for view in embeddings])

    def offsets(self, rows: np.ndarray) -> np.ndarray:
        """(n, columns): how near each row is to the known cells that ask, so that what is near to everything is not
        found by everything; see `csls_offsets`."""
        none = np.zeros(len(rows))
        return np.stack([csls_offsets(rows, cells) if len(cells) else none for cells in self.columns.values()], axis=1)

    def way(self, name: str, column: str, direction: np.ndarray) -> Way:
        """A direction (d,) as a question whose scores are standard deviations above the mean of known questions."""
        centre, spread = self.scales[column]
        weights = np.array([1.0 if other == column else 0.0 for other in self.scales])
        return Way(name, 2 * direction / spread, weights / spread, centre / spread)

    def ways(
        self,
        view: str,
        z: np.ndarray,
        words: str | None = None,
        meaning: np.ndarray | None = None,
        *,
        letters_tau: float = LETTERS_TAU,
        meaning_tau: float = MEANING_TAU,
    ) -> list[Way]:
        """The ways to put one cell, none where it says nothing.

        Args:
            view: of the cell. z: (d,) its embedding. words: of a text. meaning: (D,) what its encoder makes of it.
            letters_tau, meaning_tau: of the softmax that weighs known texts, see the top of this file.
        """
        mean = self.means[list(self.kinds).index(view)]
        direct = directions(z[None], mean)[0]
        ways = [self.way("direct", self.kinds[view], direct)] if direct.any() else []
        if words is None or BRIDGE not in self.scales:
            return ways
        partners = self.partners(view)
        there = np.asarray(partners.any(axis=1))
        alike = np.max([letters.similarities(words) for letters in self.letters.values()], axis=0)
        if alike[there].any():
            ways.append(self.way("letters", BRIDGE, bridge(_of(alike, there), letters_tau, _of(partners, there))))
        query = direct if meaning is None else unit_rows(meaning[None])[0]
        known = self._meanings_of(view)
        there &= known.any(axis=1)
        if query.any() and there.any():
            tau = meaning_tau * self.spreads[view]
            near = bridge(_of(known, there) @ query, tau, _of(partners, there))
            ways.append(self.way("meaning", BRIDGE, near))
        return ways

    def keep_ready(self) -> None:
        """Spend some time now so that each of many questions takes less."""
        for letters in self.letters.values():
            _ = letters.by_column

    def partners(self, view: str) -> np.ndarray:
        """(n, d): what each thing is by its views of other kinds, or by its other views; zeros where it has none."""
        return self._partners[view]

    @cached_property
    def _partners(self) -> dict[str, np.ndarray]:
        found: dict[tuple[str, ...], np.ndarray] = {}
        names = {view: self._others(view) for view, kind in self.kinds.items() if kind == "text"}
        for others in names.values():
            if others not in found:
                found[others] = unit_rows(sum(self._vectors_of(other) for other in others))  # type: ignore[arg-type]
        return {view: found[others] for view, others in names.items()}

    def _others(self, view: str) -> tuple[str, ...]:
        of_kinds = tuple(other for other, kind in self.kinds.items() if kind != self.kinds[view])
        return of_kinds or tuple(other for other in self.kinds if other != view)

    def _vectors_of(self, view: str) -> np.ndarray:
        return self.vectors[list(self.kinds).index(view)]

    def _meanings_of(self, view: str) -> np.ndarray:
        return self.meanings[view] if view in self.meanings else self._vectors_of(view)

    def _measured_scales(self) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation of the scores that known cells give to known rows."""
        rows = unit_rows(sum(self._vectors_of(view) for view in self.indexed))  # type: ignore[arg-type]
        rows = _sample(rows[rows.any(axis=1)], ASKING)
        offsets = self.offsets(rows)
        scales = {}
        for place, (name, asking) in enumerate(self.columns.items()):
            scores = 2 * _sample(asking, SCALED_BY) @ rows.T - offsets[:, place]
            spread = float(scores.std(axis=1).mean()) if scores.size else 0.0
            scales[name] = (float(scores.mean()), spread) if spread > 1e-6 else (0.0, 1.0)
        return scales

    def save(self, folder: Path) -> None:
        """Write a folder of arrays and JSON, which `load` restores to the bit."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "means.npy", self.means)
        np.save(folder / "vectors.npy", self.vectors)
        places = {view: place for place, view in enumerate(self.kinds)}  # names of views are no names of files
        for view, meaning in self.meanings.items():
            np.save(folder / f"meaning{places[view]}.npy", meaning)
        for view, letters in self.letters.items():
            letters.save(folder / f"letters{places[view]}.npz")
        facts = {
            "format": FORMAT,
            "kinds": dict(self.kinds),
            "indexed": self.indexed,
            "meanings": list(self.meanings),
            "letters": list(self.letters),
            "spreads": dict(self.spreads),
            "scales": dict(self.scales),
        }
        durable.write_text(folder / "known.json", json.dumps(facts, ensure_ascii=False, indent=1))

    @classmethod
    def load(cls, folder: Path) -> Known:
        """What `save` wrote. DataError where it is damaged or of a later bouba."""
        facts = read_json(folder / "known.json")
        try:
            if facts["format"] != FORMAT:
                raise DataError(f"{folder} is of format {facts['format']}, this bouba reads {FORMAT}; upgrade bouba")
            places = {view: place for place, view in enumerate(facts["kinds"])}
            known = cls(
                facts["kinds"],
                tuple(facts["indexed"]),
                np.load(folder / "means.npy"),
                np.load(folder / "vectors.npy", mmap_mode="r"),
                {v: np.load(folder / f"meaning{places[v]}.npy", mmap_mode="r") for v in facts["meanings"]},
                {v: Letters.load(folder / f"letters{places[v]}.npz") for v in facts["letters"]},
                facts["spreads"],
                {column: (mean, spread) for column, (mean, spread) in facts["scales"].items()},
            )
            if known.vectors.shape[:1] != known.means.shape[:1] or len(places) != len(known.means):
                raise ValueError("its parts do not fit together")
            return known
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder} is damaged ({error!s:.80}); make the run again") from error


def _of(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Those of a mask; all of them as they lie, which copies nothing."""
    return values if mask.all() else values[mask]


def _sample(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many rows, evenly taken."""
    return (
        rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))] if len(rows) else rows
    )


def _spread(meanings: np.ndarray) -> float:
    """Standard deviation of the cosines between two different texts."""
    rows = _sample(meanings[meanings.any(axis=1)], SCALED_BY)
    spread = float((rows @ rows.T)[~np.eye(len(rows), dtype=bool)].std()) if len(rows) > 1 else 0.0
    return spread if spread > 1e-6 else 1.0
