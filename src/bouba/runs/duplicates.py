"""Near-duplicates in the table of a run: what stays together when rows are held out, and what stands across."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bouba import durable
from bouba.data.duplicates import Duplicates
from bouba.data.duplicates.find import contents
from bouba.data.kinds import KINDS
from bouba.data.split import split, units_of
from bouba.data.views import Views
from bouba.errors import DataError
from bouba.files import read_json
from bouba.runs.recipe import HOLDOUT

FILE = "duplicates.json"
FACTS = ("rows", "links", "kept", "allowed", "contents", "judged")
FEWEST_HELD_OUT = 10  # rows below which nothing is measured
FEWEST_GROUPS = 5  # that are held out at least, where near-duplicates are kept together
LARGE = 0.5  # of the rows held out: larger groups of near-duplicates all train
Why = tuple[str, str]
"""A view, and why its cells are linked."""


@dataclass(frozen=True)
class Cut:
    """How rows are held out.

    Args:
        views: all rows. share: of them that is held out. found: their near-duplicates, None where nobody looked.
        kept: the links whose rows stand on one side. allowed: they may all stand on both.
    """

    views: Views
    share: float
    found: Duplicates | None = None
    kept: tuple[Why, ...] = ()
    allowed: bool = False

    @classmethod
    def of(cls, views: Views, share: float, found: Duplicates, *, allowed: bool) -> Cut:
        """The cut that keeps as many near-duplicates together as leave enough groups to hold out."""
        links = [] if allowed else [(view, why) for view, whys in found.links.items() for why in whys]
        while links:
            cut = cls(views, share, found, tuple(links))
            if cut.holds_out_enough:
                return cut
            largest = {link: np.bincount(found.groups_by([link])).max() for link in links}
            links.remove(max(reversed(links), key=lambda link: largest[link]))
        return cls(views, share, found, allowed=allowed)

    def over(self, views: Views | None) -> Cut:
        """The same of the same rows, read by another process; without any, to be sent there."""
        return replace(self, views=views)  # type: ignore[arg-type]

    @property
    def wanted(self) -> float:
        """How many rows are to be held out; as many as by default, where none are."""
        return (self.share or HOLDOUT) * len(self.views)

    @cached_property
    def units(self) -> np.ndarray:
        """(n,) what each row must not be parted from."""
        together = None if self.found is None or not self.kept else self.found.groups_by(self.kept)
        return units_of(self.views, together)

    @cached_property
    def large(self) -> np.ndarray:
        """bool (n,), the rows of groups that near-duplicates made too large to be held out; all of them train."""
        sizes = np.bincount(self.units)[self.units]
        if not self.kept:
            return np.zeros(len(self.views), bool)
        own = units_of(self.views)
        return (sizes > max(1, LARGE * self.wanted)) & (sizes > np.bincount(own)[own])

    @property
    def holds_out_enough(self) -> bool:
        """Whether enough rows of enough groups are left to be held out, or as many as without near-duplicates."""
        own, left = len(set(units_of(self.views).tolist())), self.units[~self.large]
        groups = len(set(left.tolist()))
        enough = len(left) >= 2 * self.wanted and groups * self.wanted >= FEWEST_GROUPS * len(left)
        return enough or (groups >= own / 2 and groups > 1)

    def parts(self, random_state: int) -> tuple[Views, Views | None]:
        """Training rows and judged rows. Below ten held-out rows there is nothing to measure: all rows train."""
        views = self.views
        if len(views) < 2:
            raise DataError(f"the table has {len(views)} row that can be used; training needs two or more")
        if self.kept:
            names = np.array([f"{unit}" for unit in self.units], dtype=object)
            views = views.replace(group=names, sources={**views.sources, "group": ("rows kept together",)})
        if len(views) * self.share < FEWEST_HELD_OUT:
            return views, None
        left = np.flatnonzero(~self.large)
        share = self.share * len(views) / len(left)
        parts = split(views[left], {"train": 1 - share, "test": share}, random_state=random_state)
        if not self.large.any():
            return parts["train"], parts["test"]
        judged = np.isin(views.rows, parts["test"].rows)
        return views[~judged], views[judged]

    def twins(self, judged: Views) -> dict[str, np.ndarray]:
        """View -> bool (judged rows,), those of which a near-duplicate by it trains; of the views with some."""
        if self.found is None:
            return {}
        is_judged = np.isin(self.views.rows, judged.rows)
        by_view = {view: _across(self.found, view, is_judged)[is_judged] for view in self.found.links}
        return {view: rows for view, rows in by_view.items() if rows.any()}


def _across(found: Duplicates, view: str, is_judged: np.ndarray) -> np.ndarray:
    """bool (n,), the rows on one side that are linked by a view with one on the other side, or equal to one that is."""
    same = found.groups_by([(view, "equal")] if "equal" in found.links[view] else [])
    number = same.max(initial=-1) + 1
    trains = np.bincount(same[~is_judged], minlength=number) > 0
    with_twin = trains.copy()
    for why, ends in found.links[view].items():
        if why != "equal":
            one, other = same[ends].T
            np.logical_or.at(with_twin, one, trains[other])
            np.logical_or.at(with_twin, other, trains[one])
    return with_twin[same]


def kept_sentence(cut: Cut) -> str | None:
    """How many rows stay together that would not have otherwise; None where there are none."""
    if cut.found is None or not cut.kept:
        return None
    own = units_of(cut.views)
    joined = np.bincount(cut.units)[cut.units] > np.bincount(own)[own]
    if not joined.any():
        return None
    counts = {
        view: int((cut.found.rows_of(view) & joined).sum()) for view in dict.fromkeys(view for view, _ in cut.kept)
    }
    by_view = ", ".join(f"{count:,} by {view}" for view, count in counts.items() if count)
    return (
        f"{int(joined.sum()):,} of {len(cut.views):,} rows have a near-duplicate ({by_view}); kept on one side of the "
        "cut, --allow-duplicates leaves them where they fall"
    )


def caution(cut: Cut, judged: Views | None) -> str:
    """What stands across the cut and what to do about it, for the head of a report; "" where nothing does."""
    twins = {} if judged is None else cut.twins(judged)
    if judged is None or not twins:
        return ""
    count = int(np.any(list(twins.values()), axis=0).sum())
    kinds = " or ".join(f"{KINDS[cut.views.modalities[view]].noun} ({view})" for view in twins)
    sentence = (
        f"{count:,} of the {len(judged):,} rows held out have a near-duplicate of their {kinds} in training, so "
        "numbers on them are partly memory."
    )
    repeated = next((view for view in twins if cut.views.modalities[view] == "text"), None)
    if cut.allowed:
        return f"{sentence} They were left where they fell; without --allow-duplicates they are kept together."
    label = f" If {repeated} names a class, say --label {repeated};" if repeated else ""
    return (
        f"{sentence} Kept together they would leave too few groups to hold out.{label} "
        f"{'else' if label else 'To choose them yourself,'} name what belongs together with --group COLUMN."
    )


def summary(cut: Cut, judged: Views | None, caution: str) -> dict[str, Any]:
    """What run.json says of near-duplicates, with what to know before the numbers; nothing where nobody looked."""
    if cut.found is None:
        return {}
    return {
        "duplicates": {
            "rows": int(cut.found.rows.sum()),
            "views": cut.found.counts,
            "kept together": sorted({view for view, _ in cut.kept}),
            "across": {} if judged is None else {view: int(rows.sum()) for view, rows in cut.twins(judged).items()},
            "caution": caution,
        }
    }


def save(cut: Cut, judged: Views | None, folder: Path) -> None:
    """Keep what was found, so that a run that goes on cuts its rows in the same way, and rows of later are known."""
    if cut.found is not None:
        links = {view: {why: ends.tolist() for why, ends in whys.items()} for view, whys in cut.found.links.items()}
        facts = {"rows": cut.found.n, "links": links, "kept": cut.kept, "allowed": cut.allowed}
        facts["contents"] = {view: cells.tolist() for view, cells in cut.found.contents.items()}
        facts["judged"] = np.flatnonzero(np.isin(cut.views.rows, [] if judged is None else judged.rows)).tolist()
        durable.write_text(folder / FILE, json.dumps(facts))


def _facts(folder: Path) -> dict[str, Any]:
    """What `save` kept. DataError where a part of it is gone."""
    facts = read_json(folder / FILE)
    if lacking := [name for name in FACTS if name not in facts]:
        raise DataError(f"{folder / FILE} is damaged, it lacks {', '.join(lacking)}; --overwrite makes the run anew")
    return facts


def seen_in_training(folder: Path, views: Views) -> str:
    """A sentence on the rows of a later table of which a picture, text, sound or clip was in training; "" where none
    was, or that is not known."""
    if not (folder / FILE).exists():
        return ""
    facts, seen = _facts(folder), {}
    for view, cells in contents(views).items():
        trained = np.delete(np.array(facts["contents"].get(view, [0] * facts["rows"]), np.uint64), facts["judged"])
        seen[view] = np.isin(cells, trained[trained > 0])
    counts = {view: int(rows.sum()) for view, rows in seen.items() if rows.any()}
    if not counts:
        return ""
    rows = int(np.any(list(seen.values()), axis=0).sum())
    by_view = ", ".join(f"{count:,} by {view}" for view, count in counts.items())
    return f"{rows:,} of {len(views):,} rows were in training ({by_view}): numbers on them are partly memory"


def held_out_again(folder: Path, views: Views) -> Views | None:
    """The rows of a run's table, read again, that were held out; None where that is not known, or the table has other
    cells by now."""
    if not (folder / FILE).exists():
        return None
    facts = _facts(folder)
    same = facts["rows"] == len(views) and all(
        cells.tolist() == facts["contents"].get(view, cells.tolist()) for view, cells in contents(views).items()
    )
    return views[np.asarray(facts["judged"], int)] if same and facts["judged"] else None


def opened(folder: Path, views: Views, share: float) -> Cut | None:
    """The cut of a run in a folder; None where it kept none, or its table has other rows."""
    if not (folder / FILE).exists():
        return None
    facts = _facts(folder)
    if facts["rows"] != len(views):
        return None
    links = {
        view: {why: np.array(ends, int).reshape(-1, 2) for why, ends in whys.items()}
        for view, whys in facts["links"].items()
    }
    kept = tuple((view, why) for view, why in facts["kept"])
    digests = {view: np.array(cells, np.uint64) for view, cells in facts["contents"].items()}
    return Cut(views, share, Duplicates(len(views), links, digests), kept, allowed=facts["allowed"])
