"""Another encoder for a run whose rows are encoded already: the index moves by a map, learnt on rows that both read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba import durable
from bouba.data.split import split
from bouba.errors import DataError, UsageError
from bouba.metrics.retrieval import retrieval, summarise
from bouba.metrics.similarity import unit_rows
from bouba.runs import folder as run_folder
from bouba.runs.lock import locked
from bouba.runs.recipe import HOLDOUT, build
from bouba.runs.toml import to_toml

if TYPE_CHECKING:
    from bouba.data.views import Views
    from bouba.runs.run import Run

Map = Callable[[np.ndarray], np.ndarray]
"""Vectors (n, d) -> (n, d')."""
ALPHAS = np.logspace(-4, 2, 13)  # ridges of the map that are tried
K = 10  # of the recall that says what was lost
FEWEST = 40  # rows below which nothing could be learnt and judged
FEWEST_JUDGED = 20  # held-out rows below which others judge
JUDGED = 0.25  # share of the sampled rows that says what was lost


@dataclass(frozen=True)
class Migration:
    """What moving an index cost.

    Args:
        rows: encoded by both. judged: of these, kept out of the map to measure it; where the old run held enough rows
            out, those.
        recall: "a->b" -> recall@10 of questions of view a, read by the new encoder, among judged cells of view b that
            were moved, and among the same cells encoded anew.
    """

    rows: int
    judged: int
    recall: Mapping[str, tuple[float, float]]

    @property
    def kept(self) -> float:
        """Share of the recall that moved cells keep, the mean over directions."""
        return float(np.mean([moved / fresh for moved, fresh in self.recall.values() if fresh > 0] or [np.nan]))

    def lines(self) -> list[str]:
        """For people."""
        each = [f"{way} {100 * moved:.0f} of {100 * fresh:.0f}" for way, (moved, fresh) in self.recall.items()]
        return [
            f"{self.rows} rows were encoded by both; on {self.judged} of them moved cells keep "
            f"{100 * self.kept:.0f}% of recall@{K} ({', '.join(each)})"
        ]


def migrate(
    run: Run,
    out: Path,
    *,
    towers: str | Sequence[str],
    table: Any = None,
    rows: int = 1200,
    random_state: int = 0,
    say: Callable[[str], None],
) -> Migration:
    """Write a run whose new encoders read questions, with the index of an old run moved into its space.

    Args:
        run: whose index moves. out: the folder of the new run. towers: as for `fit`.
        table: of the old run, where the files it was made of are no longer there. rows: to encode anew, at most.

    Raises:
        UsageError: no index, towers that read no view. DataError: too few rows, or the table is not to be had.
    """
    from bouba.runs.defaults import settled
    from bouba.runs.indexing import write_search

    views = _table_of(run, table)
    unseen = _unseen(run, views)
    sample = _sampled(views, run, rows, unseen, random_state)
    before = {section: run.recipe[section] for section in ("read",) if section in run.recipe}
    recipe, choices = settled({**before, "arguments": {}, "fit": {}}, sample, _with_others(towers, sample))
    for line in choices:
        say(line)
    place = out.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place, say):
        run_folder.settle(place)
        run_folder.refuse_occupied(place, overwrite=False)
        part = run_folder.begin(place, lambda folder: durable.write_text(folder / "recipe.toml", to_toml(recipe)))
        say(f"{len(sample):,} rows are encoded anew")
        migration = _judged(run, build(recipe), sample, unseen, random_state)
        model = build(recipe).fit(sample)
        learnt = {view: _map(stored, new) for view, (stored, new, _) in _pairs(run, model, sample).items()}
        moved = _moved(run, learnt, views)
        write_search(model, views.select(*moved), part, known=sample, vectors=moved)
        model.save(part / "model")
        run_folder.write_jsonl(part / "bad_rows.jsonl", sample.bad_rows)
        facts = {name: fact for name, fact in run.facts.items() if name not in ("format", "finished")}
        encoded = {"from": str(run.path), "encoded": sorted(map(int, sample.rows)), "kept": migration.kept}
        run_folder.write_facts(part, **facts, migration=encoded)
        run_folder.finish(part, place)
    return migration


def refine(run: Run, *, table: Any = None, rows: int, say: Callable[[str], None]) -> int:
    """Encode more rows of a migrated run by its own encoders, in place of cells that were moved.

    Returns:
        How many rows are still only moved.

    Raises:
        UsageError: a run that was not migrated.
    """
    if "migration" not in run.facts:
        raise UsageError(f"{run.path} was not migrated, so every row was encoded by its own encoders")
    with locked(run.path.resolve(), say):
        return _refined(run, table, rows, say)


def _refined(run: Run, table: Any, rows: int, say: Callable[[str], None]) -> int:
    """The same, while no other process writes the run."""
    from bouba.runs.indexing import write_search

    facts, views = dict(run.facts), _table_of(run, table)
    done = set(facts["migration"]["encoded"])
    left = [place for place, row in enumerate(views.rows) if int(row) not in done]
    chosen = np.array(left[:rows], dtype=int)
    if len(chosen):
        say(f"{len(chosen):,} rows are encoded anew")
        vectors = _moved(run, {view: lambda z: z for view in views.columns if view in run.index.views}, views)
        for view, fresh in run.model.embed(views[chosen]).items():
            vectors[view][chosen] = fresh
        known = views[np.flatnonzero(np.isin(views.rows, facts["migration"]["encoded"]))]
        write_search(run.model, views.select(*vectors), run.path, known=known, vectors=vectors)
    encoded = sorted(done | {int(row) for row in views.rows[chosen]})
    kept = {name: fact for name, fact in facts.items() if name != "format"}
    run_folder.write_facts(run.path, **kept | {"migration": facts["migration"] | {"encoded": encoded}})
    return max(0, len(left) - rows)


def _table_of(run: Run, table: Any) -> Views:
    """The rows that a run was made of."""
    made_of = run.facts.get("table") if table is None else table
    if made_of is None:
        raise UsageError(f"{run.path} does not say which table it was made of; name it with --table")
    views = run.read(made_of)
    _refuse_changed_index(run, views)
    return views


def _refuse_changed_index(run: Run, views: Views) -> None:
    """UsageError where rows came into the index after the run was made, or left it."""
    rows = run.index.listing.rows
    embedded = np.any([views.present[name] for name in views.columns if name in run.index.views], axis=0)
    added, removed = np.setdiff1d(rows, views.rows), np.setdiff1d(views.rows[embedded], rows)
    removed = np.setdiff1d(removed, [bad["row"] for bad in run.bad_rows])
    if len(added) or len(removed):
        raise UsageError(
            f"bouba embed added {len(added):,} rows to the index of {run.path} and removed {len(removed):,}; go back "
            f"first, with bouba index {run.path} --restore 1, and embed them again after it"
        )


def _unseen(run: Run, views: Views) -> set[int]:
    """The rows that the old run held out of its training; none where they are too few to judge by."""
    from bouba.runs.duplicates import Cut, opened

    share = run.recipe.get("fit", {}).get("holdout", HOLDOUT)
    seed = run.model.get_params(deep=False).get("random_state") or 0
    cut = opened(run.path, views, share) or Cut(views, share)
    _, judged = cut.parts(seed)
    rows = set() if judged is None else {int(row) for row in judged.rows}
    return rows if len(rows) >= FEWEST_JUDGED else set()


def _sampled(views: Views, run: Run, rows: int, unseen: set[int], random_state: int) -> Views:
    """Rows that teach and judge the map, drawn at random among those with two views; JUDGED of them unseen, if any."""
    views = views.select(*(name for name in views.columns if name in run.index.views))
    paired = np.flatnonzero(np.sum([views.present[name] for name in views.columns], axis=0) > 1)
    if len(paired) < FEWEST:
        raise DataError(f"{len(paired)} rows have two views of {run.path}; a map needs {FEWEST} or more")
    drawn = np.random.default_rng(random_state).permutation(paired)
    is_unseen = np.isin(views.rows[drawn], list(unseen))
    judges = drawn[is_unseen][: max(FEWEST_JUDGED, round(JUDGED * min(rows, len(drawn))))]
    return views[np.sort(np.concatenate([judges, drawn[~is_unseen][: max(rows - len(judges), FEWEST)]]))]


def _with_others(towers: str | Sequence[str], views: Views) -> list[str]:
    """The names of encoders, and of the usual ones for kinds that none of them reads."""
    from bouba.runs.defaults import ENCODERS, readers

    names = [towers] if isinstance(towers, str) else list(towers)
    if not set(names) <= {"packaged", "scratch"}:
        kinds = {views.modalities[view] for view in readers(names, views)}
        names += [ENCODERS[kind] for kind in ENCODERS if kind in views.modalities.values() and kind not in kinds]
    return names


def _pairs(run: Run, model: Any, views: Views) -> dict[str, tuple[np.ndarray, np.ndarray, list[int]]]:
    """view -> vectors of its cells as the index has them (m, d), as a new model gives them (m, d'), their rows (m,)."""
    fresh = model.embed(views)
    place = {int(row): at for at, row in enumerate(views.rows)}
    pairs = {}
    for view in (view for view in run.index.views if view in fresh):
        stored = {row: vector for row, (vector, _) in run.index.vectors(list(place), view=view).items()}
        numbers = list(stored)
        pairs[view] = np.stack(list(stored.values())), fresh[view][[place[row] for row in numbers]], numbers
    return pairs


def _moved(run: Run, maps: Mapping[str, Map], views: Views) -> dict[str, np.ndarray]:
    """view -> (n, d) vectors of every row, those of the index passed through a map; zeros where it has none."""
    place = {int(row): at for at, row in enumerate(views.rows)}
    out = {}
    for view, moved in maps.items():
        stored = run.index.vectors(list(place), view=view)
        vectors = moved(np.stack([vector for vector, _ in stored.values()]))
        out[view] = np.zeros((len(views), vectors.shape[1]), np.float32)
        out[view][[place[row] for row in stored]] = vectors
    return out


def _judged(run: Run, model: Any, sample: Views, unseen: set[int], random_state: int) -> Migration:
    """What a map costs: model and map learn from some of the rows, and are judged on the others."""
    parts = split(sample, {"map": 1 - JUDGED, "judged": JUDGED}, random_state=random_state)
    if unseen:
        judges = np.isin(sample.rows, list(unseen))
        parts = {"map": sample[~judges], "judged": sample[judges]}
    model.fit(parts["map"])
    learnt = {view: _map(stored, new) for view, (stored, new, _) in _pairs(run, model, parts["map"]).items()}
    cells = {
        view: (learnt[view](stored), new, rows)
        for view, (stored, new, rows) in _pairs(run, model, parts["judged"]).items()
    }
    return Migration(len(sample), len(parts["judged"]), dict(_recalls(cells)))


def _recalls(
    judged: Mapping[str, tuple[np.ndarray, np.ndarray, list[int]]],
) -> Iterator[tuple[str, tuple[float, float]]]:
    """(direction, (recall among moved cells, among those encoded anew)) of every two views."""
    for a, b in permutations(judged, 2):
        moved, fresh, numbers = judged[b]
        both = [row for row in judged[a][2] if row in set(numbers)]
        if len(both) > 1:
            questions = judged[a][1][[judged[a][2].index(row) for row in both]]
            answers = [numbers.index(row) for row in both]
            galleries = (moved[answers], fresh[answers])
            found = [summarise(retrieval(questions, gallery, both, both, ks=(K,))) for gallery in galleries]
            yield f"{a}->{b}", (found[0][f"recall@{K}"], found[1][f"recall@{K}"])


def _map(old: np.ndarray, new: np.ndarray) -> Map:
    """Ridge regression between embeddings of the same cells, its ridge chosen by leaving one out."""
    from sklearn.linear_model import RidgeCV

    return RidgeCV(ALPHAS).fit(old, unit_rows(new)).predict
