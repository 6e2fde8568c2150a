"""Few pairs: frozen encoders and the light alignment between them that finds held-out pairs best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from bouba.align.blocks import Blocks
from bouba.align.choosing import FAMILIES, WIDTH, Problem, choose, joined
from bouba.align.closed_form import ClosedForm
from bouba.align.features import SimpleFeatures
from bouba.align.maps import Map, pearson
from bouba.align.several import joined_of_several
from bouba.align.things import Things
from bouba.align.unpaired import cells_of, taught_by_singles
from bouba.data.views import Views, is_missing
from bouba.errors import DataError, UsageError, nearest
from bouba.metrics.hubs import csls_offsets

KNOWN = 2000  # training cells of a side that hubness is measured by, at most
FEW_CELLS = 20  # of a domain, below which its mean is not its own


@dataclass(frozen=True)
class Centre:
    """Means of one side's features: (d,) of all cells, and of those of each domain that has FEW_CELLS or more."""

    whole: np.ndarray
    of_domain: dict[str, np.ndarray]

    @classmethod
    def of(cls, features: np.ndarray, domains: Sequence[str | None]) -> Centre:
        """From features (n, d) and the domain of each row, None where it is not known."""
        names = np.array([domain or "" for domain in domains], dtype=object)
        rows = {name: features[names == name] for name in dict.fromkeys(names.tolist()) if name}
        means = {name: cells.mean(0) for name, cells in rows.items() if len(cells) >= FEW_CELLS}
        return cls(features.mean(0), means)

    def removed(self, features: np.ndarray, domains: Sequence[str | None]) -> np.ndarray:
        """Features without the mean of their domain, or of all where that has none."""
        return features - np.stack([self.of_domain.get(domain or "", self.whole) for domain in domains])


class FewPairs(ClosedForm):
    """Two frozen encoders and a small map between them, for tens to some thousands of pairs.

        candidates    CCA over ridges, the same on a Gaussian kernel, Procrustes after whitening, partial least squares,
                      ridge regression either way, relative representations (ASIF), and means of their scores
        chosen        by retrieval of held-out pairs, cross-validated on the training pairs alone; things stay together
        hubness       score(q, g) = q.g - r(g) / 2, r(g) the mean similarity of g to its 10 nearest known cells of the
                      other side (CSLS), where that helped the held-out pairs
        domains       each domain's mean is removed from its cells; rows with one view teach it, too

    Take it first where encoders know the kinds of cells and pairs are few: below some thousand pairs it finds more than
    heads trained by InfoNCE, in seconds. Views whose towers are `SameAs` another share one map: captions in two
    languages read by one encoder teach each other. With three sides or more, CCA over ridges is all that is tried.

    Args:
        towers: view -> a frozen encoder, `{"photo": Packaged("efficientnet-lite0"), "caption":
            Packaged("multilingual-e5-small")}`, or SameAs; views without one are read by simple features.
        device: where encoders run, "auto" for a GPU where there is one; the alignment itself is solved on the CPU.
        n_components: numbers of an embedding, at most; None for 512, of three sides 256.
        candidates: families that may be chosen; None for all. See `bouba.align.choosing.FAMILIES`.
        self_learning: rounds in which rows that have one side only guess their partners and teach by them; 0 for none.
            It needs most of their partners to be among them. See `bouba.align.unpaired.taught_by_singles`.
        features: columns that pictures and texts without a tower are reduced to.
        random_state: of folds, and of the cells that a kernel is spanned by.

    Attributes: `candidates_`, tuple of Candidate, best first, with the score of each; `chosen_`, their line for people;
    `correlations_` (k,), of the embedded pairs; `maps_`, view of each side -> Map; `centres_`; `corrects_`, whether
    hubness is corrected; `kinds_`.

    Raises:
        DataError: fewer than two views or two pairs. UsageError: no such family, or all views share one map.

    Reference: Vinod 1976 (ridge); Akaho 2001 (kernel); Schonemann 1966 (Procrustes); Norelli et al. 2023, ASIF;
    Conneau et al. 2018 (CSLS); Li et al. 2025, CSA (weights by correlation). Departure: what stands beside each other
    is chosen by data, and joined into one vector a cell, compared by cosine.

    >>> random = np.random.default_rng(0)
    >>> z = random.normal(size=(120, 4))
    >>> x, y = z @ random.normal(size=(4, 30)), z @ random.normal(size=(4, 20))
    >>> model = FewPairs().fit([x[:90], y[:90]])
    >>> a, b = model.embed([x[90:], y[90:]]).values()
    >>> int((np.argmax(a @ b.T, axis=1) == np.arange(30)).sum())
    30
    """

    def __init__(
        self,
        towers: Mapping[str, Any] | None = None,
        *,
        device: str = "auto",
        n_components: int | None = None,
        candidates: Sequence[str] | None = None,
        self_learning: int = 0,
        features: int = 200,
        random_state: int = 0,
    ):
        self.towers = towers
        self.device = device
        self.n_components = n_components
        self.candidates = candidates
        self.self_learning = self_learning
        self.features = features
        self.random_state = random_state

    def _fit(self, data: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> None:
        self._fit_blocks(Blocks(data, present, dict))

    def _fit_blocks(self, blocks: Blocks) -> None:
        families = self._families()
        if self.self_learning < 0:
            raise UsageError(f"self_learning is a number of rounds, 0 or more, got {self.self_learning}")
        self.sides_ = self._sides(blocks)
        domains, things = _domains(blocks.views, len(blocks)), Things.of(blocks)
        owners = list(dict.fromkeys(self.sides_.values()))
        cells = {owner: self._cells(blocks, owner) for owner in owners}
        self.centres_ = {
            owner: Centre.of(features, [domains[row] for row in rows]) for owner, (features, rows) in cells.items()
        }
        centred = {
            view: self.centres_[owner].removed(np.asarray(blocks.data[view], float), domains)
            for view, owner in self.sides_.items()
        }
        if len(owners) == 2:
            pairs = Paired.of(centred, blocks.present, self.sides_, things)
            problem = Problem.of(*pairs.cells, *pairs.rows, pairs.things, self.random_state)
            candidates, taken, self.corrects_ = choose(problem, families, self.random_state)
            maps: tuple[Map, Map]
            maps, cells_z = joined(problem, taken, self._width(WIDTH))
            if self.self_learning:
                paired = {o: side[rows] for o, side, rows in zip(owners, pairs.cells, pairs.rows, strict=True)}
                singles = cells_of(centred, blocks.present, self.sides_, paired, self.random_state)
                maps = taught_by_singles(
                    maps, (singles[owners[0]], singles[owners[1]]), self.self_learning, self.random_state
                )
                cells_z = maps[0](pairs.cells[0]), maps[1](pairs.cells[1])
            self.maps_: dict[str, Map] = dict(zip(owners, maps, strict=True))
            embedded = [z[rows] for z, rows in zip(cells_z, pairs.rows, strict=True)]
            self.correlations_ = pearson(*embedded)
        else:
            self._refuse_for_several(len(owners), families)
            self.maps_, candidates, embedded = joined_of_several(
                centred, blocks.present, things, width=self._width(256), random_state=self.random_state
            )
            self.corrects_ = True
            self.correlations_ = self._correlations_of_several(centred, blocks.present)
        self.candidates_ = tuple(candidates)
        self.known_ = {owner: _drawn(z, self.random_state) for owner, z in zip(owners, embedded, strict=True)}

    @property
    def chosen_(self) -> str:
        """What was taken, for people."""
        chosen = next(candidate for candidate in self.candidates_ if candidate.chosen)
        return f"{chosen.name} ({chosen.settings})" + (", hubness corrected" if self.corrects_ else "")

    def hub_offsets(self, z: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not self.corrects_:
            return {}
        offsets = {}
        for view, cells in z.items():
            others = [known for owner, known in self.known_.items() if owner != self.sides_[view]]
            offsets[view] = np.mean([csls_offsets(cells, known) for known in others], axis=0)
        return offsets

    def _correlations_of_several(self, centred: Mapping[str, np.ndarray], present: Mapping[str, np.ndarray]):
        """(k,), the mean over pairs of views of those of the rows that have both."""
        found = []
        for a, b in combinations(centred, 2):
            both = present[a] & present[b]
            if both.sum() > 1:
                found.append(pearson(self.maps_[a](centred[a][both]), self.maps_[b](centred[b][both])))
        return np.mean(found, axis=0)

    def _refuse_for_several(self, sides: int, families: Sequence[str]) -> None:
        """UsageError for what three sides or more cannot have."""
        if self.self_learning or "cca" not in families:
            wanted = "self_learning" if self.self_learning else f"candidates={list(families)}"
            raise UsageError(f"{wanted} is for two sides, and these views have {sides}; choose two, or share a tower")

    def _width(self, usual: int) -> int:
        """Numbers of an embedding, at most. UsageError below 1."""
        if self.n_components is not None and self.n_components < 1:
            raise UsageError(f"n_components is 1 or more, got {self.n_components}")
        return usual if self.n_components is None else int(self.n_components)

    def _families(self) -> tuple[str, ...]:
        families = tuple(FAMILIES) if self.candidates is None else tuple(self.candidates)
        unknown = next((family for family in families if family not in FAMILIES), None)
        if unknown is not None or not families:
            raise UsageError(f"no candidate {unknown!r}{nearest(str(unknown), FAMILIES)}")
        return families

    def _sides(self, blocks: Blocks) -> dict[str, str]:
        """view -> the view whose map it shares, itself where it shares none."""
        same = {view: getattr(tower, "view", view) for view, tower in (self.towers or {}).items()}
        sides = {view: same.get(view, view) for view in blocks.data}
        if len(set(sides.values())) < 2:
            raise UsageError(f"all views share one map ({', '.join(sides)}); give one of them a tower of its own")
        return sides if len(set(sides.values())) == 2 else {view: view for view in sides}

    def _cells(self, blocks: Blocks, owner: str) -> tuple[np.ndarray, np.ndarray]:
        """Features of all cells of a side, and the row of each."""
        views = [view for view, of in self.sides_.items() if of == owner]
        rows = np.concatenate([np.flatnonzero(blocks.present[view]) for view in views])
        values = np.concatenate([np.asarray(blocks.data[view], float)[blocks.present[view]] for view in views])
        return values, rows

    def _project_of(self, blocks: Blocks, name: str) -> np.ndarray:
        rows, domains = np.flatnonzero(blocks.present[name]), _domains(blocks.views, len(blocks))
        values = np.asarray(blocks.data[name])[rows]
        centred = self.centres_[self.sides_[name]].removed(values.astype(float), [domains[row] for row in rows])
        return self.maps_[self.sides_[name]](centred).astype(values.dtype)

    def _project(self, name: str, values: np.ndarray) -> np.ndarray:
        owner = self.sides_[name]
        centred = self.centres_[owner].removed(np.asarray(values, float), [None] * len(values))
        return self.maps_[owner](centred).astype(values.dtype)

    def _emphasis(self, name: str) -> np.ndarray:
        return np.ones(len(self.correlations_))

    def _features(self) -> SimpleFeatures:
        return SimpleFeatures(self.features, random_state=self.random_state)


@dataclass(frozen=True)
class Paired:
    """Distinct cells of two sides, and which of them are pairs.

    Args:
        cells: (n_a, d_a) and (n_b, d_b). rows: (p,) and (p,) of them. things: what each pair shows.
    """

    cells: tuple[np.ndarray, np.ndarray]
    rows: tuple[np.ndarray, np.ndarray]
    things: Things

    @classmethod
    def of(
        cls,
        features: Mapping[str, np.ndarray],
        present: Mapping[str, np.ndarray],
        sides: Mapping[str, str],
        things: Things,
    ) -> Paired:
        """From features (n, d) and the side of every view, and the things of the rows. Every cell of one side is a
        pair with every cell of the other in its row.

        Raises:
            DataError: fewer than two pairs.
        """
        first, second = dict.fromkeys(sides.values())
        parts: tuple[list, list, list] = ([], [], [])
        for a, b in combinations(features, 2):
            if sides[a] != sides[b]:
                a, b = (a, b) if sides[a] == first else (b, a)
                rows = np.flatnonzero(present[a] & present[b])
                for part, values in zip(parts, (features[a][rows], features[b][rows], rows), strict=True):
                    part.append(values)
        left, right, of = (np.concatenate(part) for part in parts)
        if len(of) < 2:
            raise DataError(
                f"{len(of)} rows have a cell of {first!r} and one of {second!r}; aligning needs two or more"
            )
        (cells_a, rows_a), (cells_b, rows_b) = _distinct(left), _distinct(right)
        return cls((cells_a, cells_b), (rows_a, rows_b), things[of])


def _distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows in the order in which they come, and which of them each row is."""
    place: dict[bytes, int] = {}
    which = np.array([place.setdefault(row.tobytes(), len(place)) for row in values])
    first = np.unique(which, return_index=True)[1]
    return values[first], which


def _domains(views: Views | None, n: int) -> list[str | None]:
    """The domain of each row, None where it has none."""
    if views is None or views.domain is None:
        return [None] * n
    return [None if is_missing(domain) else str(domain) for domain in views.domain]


def _drawn(z: np.ndarray, random_state: int) -> np.ndarray:
    """At most KNOWN distinct rows, float32."""
    distinct = np.unique(z.astype(np.float32), axis=0)
    return distinct[np.sort(np.random.default_rng(random_state).permutation(len(distinct))[:KNOWN])]
