"""What benches of adaptation share: the methods, how each is fitted and judged, and the table.

Every task has labelled rows of a source, rows of a target that nobody labelled, and labelled test rows of both. Methods
are one objective each over the same tower; `looks` are towers that change or prepare their inputs in another way. Each
look is also shown by itself, without any adaptation, since data preparation can beat the method.

A method's settings are the same for all seeds and tasks, the learning rate is the library default. The adversary's
weight, the threshold, colours, width and epochs were settled on seeds 0 and 1 of MNIST-M with its target accuracy in
sight, epochs and moves of USPS on its seed 0; MMD and CORAL have the weights they were first given. Which method would
have been taken without a label of the target is asked of `bouba.adapt.rank`, and stands below the table beside what
target labels would have chosen.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bouba.adapt import rank
from bouba.data.views import Column, Views
from bouba.errors import DataError, UsageError, nearest
from bouba.evaluation import Record, Result, interval
from bouba.evaluation.environment import environment
from bouba.evaluation.table import text_table, with_interval
from bouba.learner import Learner
from bouba.runs import methods
from bouba.terms import CORAL, MMD, DomainAdversarial, Entropy, Objective, Prediction, SelfTraining, Term
from bouba.towers import EncoderSpec

SOURCE_ONLY = methods.SOURCE_ONLY.name
ON_TARGET = "trained on the target"
LABEL = "digit"
PREDICT = Prediction((LABEL,))
OBJECTIVES: dict[str, Term | Objective] = {
    SOURCE_ONLY: PREDICT,
    "own statistics": PREDICT + 0.0 * CORAL(),  # BatchNorm by domain, and nothing else of the target
    "DANN": PREDICT + 0.3 * DomainAdversarial(),
    "MMD": PREDICT + MMD(),
    "CORAL": PREDICT + 10.0 * CORAL(),
    "CDAN": PREDICT + 0.3 * DomainAdversarial(condition=LABEL, entropy_weight=True),
}
MIX = PREDICT + 0.3 * DomainAdversarial() + SelfTraining(threshold=0.9) + 0.1 * Entropy()
SETTLED = (
    "Weights and epochs of DANN, CDAN and the mix were settled on MNIST-M, seeds 0 and 1, with its target accuracy in "
    "sight;\nMMD and CORAL have the weights they were first given, so that their order says little."
)
CHOSEN_BY = ("source", "entropy", "information")
ORACLE = "target labels"
TRAINING: dict[str, Any] = {"dim": 64, "batch_size": 64}


@dataclass(frozen=True)
class Task:
    """One source and one target.

    Args:
        name: of the task, "MNIST -> USPS". target: name of the target's domain.
        training: labelled rows of the source, and rows of the target without labels.
        source_test, target_test: labelled rows that nothing was trained on.
        on_target: seed -> labelled training and test rows of the target, for what labels would have given.
    """

    name: str
    target: str
    training: Views
    source_test: Views
    target_test: Views
    on_target: Callable[[int], tuple[Views, Views]]


@dataclass(frozen=True)
class Method:
    """An objective over a tower; one that is trained on the target sees nothing else."""

    objective: Term | Objective
    tower: EncoderSpec
    on_target: bool = False


def rows(view: str, kind: str, cells: Sequence | np.ndarray, y: np.ndarray | None, domain: str | np.ndarray) -> Views:
    """Views of one view, with label column "digit"; y None where nobody labelled."""
    labels = np.full(len(cells), None) if y is None else y.astype(str).astype(object)
    domain = np.full(len(cells), domain) if isinstance(domain, str) else domain
    return Views({view: Column.of(list(cells), kind)}, y={LABEL: labels}, domain=domain)


def joined(source: Views, target: Views) -> Views:
    """Source rows with their labels, then those of the target without."""
    [view] = source.columns
    cells = [*source[view], *target[view]]
    y = np.concatenate([source.y[LABEL], np.full(len(target), None)])
    domain = np.concatenate([source.domain, target.domain])  # type: ignore[list-item]
    return Views({view: Column.of(cells, source[view].kind)}, y={LABEL: y}, domain=domain)


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Arrays of an .npz by name.

    Raises:
        DataError: no such file, or it lacks one.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} does not hold what this bench reads ({error}); give --data FOLDER") from error


def compared_methods(plain: EncoderSpec, looks: Mapping[str, EncoderSpec]) -> dict[str, Method]:
    """Name -> method: every objective on the plain tower; each look alone and with the mix; training on the target."""
    by_name = {name: Method(objective, plain) for name, objective in OBJECTIVES.items()}
    for look, tower in looks.items():
        by_name |= {look: Method(PREDICT, tower), f"{look} + mix": Method(MIX, tower)}
    return by_name | {ON_TARGET: Method(PREDICT, plain, on_target=True)}


def chosen(methods: Mapping[str, Method], names: Sequence[str] | None) -> dict[str, Method]:
    """The methods asked for, in the order of the table, source only always among them; all when None.

    Raises:
        UsageError: no such method.
    """
    for name in names or ():
        if name not in methods:
            raise UsageError(f"no method {name!r}{nearest(name, methods)}")
    return {name: method for name, method in methods.items() if not names or name in (*names, SOURCE_ONLY)}


def run(
    tasks: Sequence[Task], methods: Mapping[str, Method], *, seeds: int, epochs: int, out: Path | None = None
) -> Result:
    """Every method on every task over several seeds; `out` is written after each task."""
    result = Result([], environment(0))
    for seed in range(seeds):
        for task in tasks:
            result = result + judged(task, methods, seed, epochs=epochs)
            if out is not None:
                result.to_json(out)
    return result


def judged(task: Task, methods: Mapping[str, Method], seed: int, *, epochs: int) -> Result:
    """Accuracy on target and source test rows, CPU-minutes, and what would have been chosen, for one seed."""
    records, models = [], {}
    for name, method in methods.items():
        started = time.process_time()
        train, test = task.on_target(seed) if method.on_target else (task.training, task.target_test)
        model = fitted(method, train, None if method.on_target else task.target, seed, epochs)
        spent = (time.process_time() - started) / 60
        records.append(record(name, task, "target", model, test, seed))
        summary = f"{100 * records[-1].value:.1f}% of the target, {spent:.1f} CPU-minutes"
        sys.stderr.write(f"seed {seed}, {task.name}, {name}: {summary}\n")
        if not method.on_target:
            records.append(record(name, task, "source", model, task.source_test, seed))
            models[name] = model
        records.append(
            Record(name, "train", "all", task.name, "CPU-minutes", spent, None, None, None, len(train), seed)
        )
    return Result([*records, *choices(task, models, records, seed)], environment(seed))


def fitted(method: Method, train: Views, target: str | None, seed: int, epochs: int) -> Learner:
    """The method's tower, trained for its objective."""
    [view] = train.columns
    model = Learner({view: method.tower}, method.objective, epochs=epochs, random_state=seed, **TRAINING)
    return model.fit(train, target=target)


def record(name: str, task: Task, split: str, model: Learner, test: Views, seed: int) -> Record:
    """Accuracy on test rows, and its interval over rows."""
    right = (model.predict(test)[LABEL] == test.y[LABEL]).astype(float)  # type: ignore[index]
    low, high = interval(right)
    chance = 1 / len(model.classes(LABEL))
    return Record(name, split, "all", task.name, "accuracy", float(right.mean()), low, high, chance, len(test), seed)


def choices(task: Task, models: Mapping[str, Learner], records: Sequence[Record], seed: int) -> list[Record]:
    """The target accuracy of the method that each criterion takes; it sees source test rows and unlabelled target."""
    if len(models) < 2:
        return []
    unlabelled = task.training[task.training.domain == task.target]
    scores = rank(models, joined(task.source_test, unlabelled), target=task.target, label=LABEL)
    on_target = {r.method: r for r in records if r.split == "target" and r.method in models}
    takes = {criterion: scores.best(criterion) for criterion in CHOSEN_BY}
    takes[ORACLE] = max(on_target, key=lambda name: on_target[name].value)
    return [replace(on_target[name], method=f"{by}: {name}", split="chosen") for by, name in takes.items()]


def page(result: Result, methods: Iterable[str], tasks: Sequence[str], seeds: int, note: str) -> str:
    """Three tables: accuracy by task with the gain over source only, and what would have been chosen."""
    parts = [_accuracies(result, list(methods), tasks, seeds)]
    if list(result.where(split="chosen")):
        parts.append(_choices(result, tasks, seeds))
    parts.append(f"{note} {SETTLED}\nMean [95% interval over seeds, Student t]; gain: over source only, seed by seed.")
    return "\n\n".join(parts)


def percent(result: Result, task: str, seeds: int, **fields: str) -> np.ndarray:
    """Accuracy of each seed, (seeds,)."""
    record_fields = {"direction": task, "metric": "accuracy", **fields}
    return np.array([100 * result.value(seed=seed, **record_fields).value for seed in range(seeds)])


def _accuracies(result: Result, methods: list[str], tasks: Sequence[str], seeds: int) -> str:
    several = len(tasks) > 2
    header = ["target accuracy, percent"]
    for task in ["all"] if several else tasks:
        header += [task, "gain"]
    header += [*(tasks if several else ()), "source", "CPU-minutes"]
    lines = []
    for name in methods:
        by_task = {task: percent(result, task, seeds, method=name, split="target") for task in tasks}
        base = {task: percent(result, task, seeds, method=SOURCE_ONLY, split="target") for task in tasks}
        pairs = [(by_task[task], base[task]) for task in tasks]
        if several:
            pairs = [(np.mean([a for a, _ in pairs], 0), np.mean([b for _, b in pairs], 0))]
        cells = [name]
        for values, baseline in pairs:
            cells += [
                with_interval(values),
                "-" if name in (SOURCE_ONLY, ON_TARGET) else with_interval(values - baseline),
            ]
        cells += [f"{by_task[task].mean():.1f}" for task in tasks] if several else []
        source = [r.value for r in result.where(method=name, split="source")]
        spent = [r.value for r in result.where(method=name, metric="CPU-minutes")]
        lines.append([*cells, f"{100 * np.mean(source):.1f}" if source else "-", f"{np.mean(spent):.2f}"])
    return text_table(header, lines, labels=1)


def _choices(result: Result, tasks: Sequence[str], seeds: int) -> str:
    lines = []
    for by in (*CHOSEN_BY, ORACLE):
        records = [r for r in result.where(split="chosen") if r.method.startswith(f"{by}: ")]
        over_tasks = [100 * np.mean([r.value for r in records if r.seed == seed]) for seed in range(seeds)]
        names = [r.method.removeprefix(f"{by}: ") for r in records]
        taken = ", ".join(f"{name} ({names.count(name)})" for name in sorted(set(names), key=names.count, reverse=True))
        lines.append([by, with_interval(over_tasks), taken])
    header = ["method chosen by", "target accuracy" if len(tasks) == 1 else "target accuracy, mean", "taken"]
    return text_table(header, lines, labels=1)
