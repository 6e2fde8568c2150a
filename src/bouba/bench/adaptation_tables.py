"""How benches of adaptation choose a method without labels of the target, and their tables.

`CRITERION` takes the method. It was fixed by the rehearsal of `bouba bench usps`, whose target labels are seen, and by
what it forbids: entropy is best also for a model that calls everything one class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from bouba.adapt.selection import Ranking
from bouba.bench.adaptation import ON_TARGET, SOURCE_ONLY, Method, Run, Task, Trainer, select
from bouba.evaluation import paired_over_seeds, seeds_interval
from bouba.evaluation.table import Table

CRITERION = "information"
SHOWN = ("information", "entropy", "proxy a-distance")


@dataclass(frozen=True)
class Picks:
    """What one run of every method takes for the runs that are reported.

    Args:
        chosen: by CRITERION, without labels of the target. source_only, preparation: the best that learns from the
            source alone, without a look and with one, by the target's test labels: a hard baseline.
    """

    chosen: str
    source_only: str
    preparation: str

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Picks:
        """From runs of one task and seed."""
        candidates = [run for run in runs if run.scores is not None]
        best = lambda some: max(some, key=lambda run: run.accuracy).method  # noqa: E731
        alone = [run for run in candidates if not run.adapts]
        plain = [run for run in alone if run.method.startswith(SOURCE_ONLY)]
        prepared = [run for run in alone if not run.method.startswith(SOURCE_ONLY)]
        return cls(ranking(candidates).best(CRITERION), best(plain), best(prepared or plain))

    @property
    def names(self) -> list[str]:
        """Each once."""
        return list(dict.fromkeys((self.source_only, self.preparation, self.chosen)))


def choose_and_measure(trainer: Trainer, task: Task, methods: Mapping[str, Method], seeds: int, epochs: int) -> None:
    """Every method with seed 0 and a quarter of the epochs; what that takes, with seeds from 1 on; target labels."""
    trainer.train(task, methods, [name for name in methods if name != ON_TARGET], 0, max(1, epochs // 4))
    picks = Picks.of(select(trainer.runs, task=task.name, seed=0))
    for seed in range(1, seeds + 1):
        trainer.train(task, methods, picks.names, seed, epochs, scored=False)
    if seeds:
        trainer.train(task, methods, [ON_TARGET], 1, epochs)


def ranking(runs: Sequence[Run]) -> Ranking:
    """Runs of one task and seed by every criterion, with the truth, in percent."""
    by_method = {run.method: run.scores for run in runs if run.scores is not None}
    criteria = list(next(iter(by_method.values())))
    scores = {name: {method: by_name[name] for method, by_name in by_method.items()} for name in criteria}
    return Ranking(scores, {run.method: run.accuracy for run in runs if run.scores is not None})


def task_tables(runs: Sequence[Run], task: str) -> dict[str, Table]:
    """ "methods": one run of each. "criteria": what each takes of them. "measured": the chosen one, if it was run."""
    is_measured = any(run.seed for run in select(runs, task=task))
    return choosing_tables(runs, task) | ({"measured": measured_table(runs, task)} if is_measured else {})


def choosing_tables(runs: Sequence[Run], task: str) -> dict[str, Table]:
    """ "methods" and "criteria" of a task."""
    of_task = select(runs, task=task, seed=0)
    return {"methods": methods_table(of_task), "criteria": criteria_table(of_task)}


def methods_table(runs: Sequence[Run]) -> Table:
    """One run of each method: what can be known without labels of the target, and then its accuracy there."""
    header = [f"{runs[0].task}, one run", *SHOWN, "source accuracy", "target accuracy", "CPU-minutes"]
    lines = []
    for run in runs:
        if run.scores is not None and run.source is not None:
            scores = [f"{run.scores[name]:.3f}" for name in SHOWN]
            lines.append([run.method, *scores, f"{100 * run.source:.1f}", f"{run.accuracy:.1f}", f"{run.minutes:.1f}"])
    note = f"{runs[0].epochs} epochs, seed {runs[0].seed}, {len(runs[0].correct):,} test rows of the target; chance 10."
    return Table(header, lines, note=note)


def criteria_table(runs: Sequence[Run]) -> Table:
    """One line a criterion: rank correlation with the truth, what it takes, and the points that this costs.

    Runs of several tasks and seeds are ranked each by themselves; shown are means.
    """
    candidates = sorted((run for run in runs if run.scores is not None), key=_cut)
    by_cut = [list(cut) for _, cut in groupby(candidates, _cut)]
    rankings = [ranking(cut) for cut in by_cut]
    correlations = [ranked.spearman() for ranked in rankings]
    regrets = [ranked.regret() for ranked in rankings]
    best = np.mean([max((ranked.truth or {}).values()) for ranked in rankings])
    lines = []
    for name in rankings[0].scores:
        taken = [ranked.best(name) for ranked in rankings]
        lost = np.mean([regret[name] for regret in regrets])
        cells = [
            f"{np.mean([c[name] for c in correlations]):.2f}",
            _counted(taken),
            f"{best - lost:.1f}",
            f"{lost:.1f}",
        ]
        lines.append([name, *cells])
    oracle = [max(cut, key=lambda run: run.accuracy).method for cut in by_cut]
    lines.append(["labels of the target", "1.00", _counted(oracle), f"{best:.1f}", "0.0"])
    tasks = dict.fromkeys(run.task for run in runs)
    where = next(iter(tasks)) if len(tasks) == 1 else f"mean of {len(tasks)} tasks"
    return Table([f"{where}, chosen by", "rank correlation", "takes", "target accuracy", "points lost"], lines)


def measured_table(runs: Sequence[Run], task: str) -> Table:
    """The methods that were taken, over the seeds that took nothing, each paired with the two baselines."""
    picks = Picks.of(select(runs, task=task, seed=0))
    reported = {name: [run for run in select(runs, task=task, method=name) if run.seed] for name in picks.names}
    rows = {name: np.array([run.correct for run in of_name]) for name, of_name in reported.items() if of_name}
    header = [
        f"{task}, percent",
        "target accuracy",
        "gain over source only",
        "gain over data preparation",
        "source",
        "CPU-minutes",
    ]
    lines = []
    for name, of_name in rows.items():
        gains = [
            difference(of_name, rows[rival]) if name != rival else ""
            for rival in (picks.source_only, picks.preparation)
        ]
        gains = gains if name == picks.chosen else [gains[0], ""]
        source = 100 * np.mean([run.source for run in reported[name]])
        minutes = np.mean([run.minutes for run in reported[name]])
        lines.append([name, text(of_name), *gains, f"{source:.1f}", f"{minutes:.1f}"])
    lines += [
        [ON_TARGET, text(run.correct[None]), "", "", "", f"{run.minutes:.1f}"]
        for run in select(runs, task=task, method=ON_TARGET)
    ]
    seeds = len(next(iter(rows.values()), ()))
    note = (
        f"Runs: {seeds}, none of them with the seed that chose. Intervals of 95% carry which rows were drawn and, from "
        "two runs on, how training went; p is of the same, paired."
    )
    return Table(header, lines, note=note)


def several_tables(runs: Sequence[Run]) -> dict[str, Table]:
    """ "measured": accuracy by task, and of the method that is chosen for each. "criteria": what each takes."""
    return {"measured": by_task_table(runs), "criteria": criteria_table(runs)}


def by_task_table(runs: Sequence[Run]) -> Table:
    """One line a method: all test rows, what it gains on the source alone, and each task."""
    tasks = list(dict.fromkeys(run.task for run in runs))
    seeds = sorted({run.seed for run in runs})
    at = {(run.task, run.method, run.seed): run for run in runs}
    methods = list(dict.fromkeys(run.method for run in runs if run.scores is not None))
    taken = {
        cut: ranking([run for run in runs if _cut(run) == cut]).best(CRITERION) for cut in {_cut(run) for run in runs}
    }

    def rows(method: str | None) -> dict[str, np.ndarray]:
        """task -> (seeds, rows); of the method that is taken where None."""
        return {t: np.array([at[t, method or taken[t, s], s].correct for s in seeds]) for t in tasks}

    lines = []
    base = np.concatenate(list(rows(SOURCE_ONLY).values()), 1)
    for name in [*methods, None]:
        by_task = rows(name)
        every = np.concatenate(list(by_task.values()), 1)
        gain = "" if name == SOURCE_ONLY else difference(every, base)
        cells = [f"{100 * by_task[t].mean():.0f}" for t in tasks]
        lines.append([name or f"taken for each by {CRITERION}", text(every), gain, *cells])
    note = f"{base.shape[1] // len(tasks)} test rows a task, {len(seeds)} run{'s' * (len(seeds) > 1)} each; chance 10."
    return Table(["accuracy, percent", "all", f"gain over {SOURCE_ONLY}", *tasks], lines, note=note)


def text(correct: np.ndarray) -> str:
    """Percent of right rows (seeds, rows), with its interval over both."""
    mean, low, high = (100 * value for value in seeds_interval(correct.astype(float)))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def difference(correct: np.ndarray, rival: np.ndarray) -> str:
    """Points that one method is ahead of another on the same rows, (seeds, rows) each, with interval and p."""
    seeds = min(len(correct), len(rival))
    *ends, p = paired_over_seeds(correct[:seeds].astype(float), rival[:seeds].astype(float))
    mean, low, high = (100 * value for value in ends)
    return f"{mean:+.1f} [{low:.1f}, {high:.1f}], {'p < .001' if p < 0.001 else f'p = {p:.3f}'.replace('0.', '.')}"


def _cut(run: Run) -> tuple[str, int]:
    return run.task, run.seed


def _counted(names: Sequence[str]) -> str:
    """Each name once, the most frequent first; how often, where there are several."""
    distinct = sorted(set(names), key=names.count, reverse=True)
    return names[0] if len(names) == 1 else ", ".join(f"{name} ({names.count(name)})" for name in distinct)
