"""What benches of adaptation share: tasks, methods, how each is fitted and judged, and what is kept of a run.

Every task has labelled rows of a source, rows of a target that nobody labelled, and labelled test rows of both. A
method is an objective over a tower. Towers with GroupNorm learn from the source alone best, since BatchNorm keeps
statistics of the source that no longer hold; methods that read the target have BatchNorm, which then has statistics of
each domain. `looks` are towers that change or prepare their inputs in another way, each also shown without any
adaptation, since data preparation can beat the method.

A run keeps which test rows were right, so that methods are compared row by row, and the scores of `bouba.adapt.rank`,
which see source test rows and unlabelled target rows: what each criterion would have chosen follows from them.
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
from bouba.bench.bits import packed, unpacked
from bouba.bench.kept import Keeper
from bouba.data.views import Column, Views
from bouba.errors import DataError, UsageError
from bouba.evaluation.fingerprint import fingerprint
from bouba.learner import Learner
from bouba.terms import CORAL, MMD, DomainAdversarial, Entropy, Objective, Prediction, SelfTraining, Term
from bouba.towers import EncoderSpec

SOURCE_ONLY = "source only"
ON_TARGET = "trained on the target"
BATCH_NORM = ", BatchNorm"
LABEL = "digit"
PREDICT = Prediction((LABEL,))
TRAINING: dict[str, Any] = {"dim": 64, "batch_size": 64}
MOST_SCORED = 3_000  # target rows that criteria are computed on


def mix(adversary: float) -> Objective:
    """Prediction with self-training, entropy, and domain-adversarial training of this weight; without it where 0."""
    objective = PREDICT + SelfTraining(threshold=0.9) + 0.1 * Entropy()
    return objective + adversary * DomainAdversarial() if adversary else objective


def cdan(weight: float) -> Objective:
    """Prediction with domain-adversarial training class by class."""
    return PREDICT + weight * DomainAdversarial(condition=LABEL, entropy_weight=True)


OBJECTIVES: dict[str, Term | Objective] = {
    "own statistics": PREDICT + 0.0 * CORAL(),  # BatchNorm by domain, and nothing else of the target
    "DANN": PREDICT + 0.3 * DomainAdversarial(),
    "MMD": PREDICT + 3.0 * MMD(),
    "CORAL": PREDICT + 10.0 * CORAL(),
    "CDAN": cdan(0.3),
}
MIX = mix(0.0)


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
    tower: Any
    on_target: bool = False

    @property
    def adapts(self) -> bool:
        """Whether target rows are read, without their labels."""
        return self.objective != PREDICT


@dataclass(frozen=True)
class Run:
    """One trained model.

    Args:
        task, method, seed, epochs: what was trained. adapts: whether it read target rows, without their labels.
        correct: bool (n,), which of the target's test rows were right.
        source: accuracy on source test rows; None where the model was trained on the target. scores: criterion ->
            score, higher is better; None where the run chooses nothing.
        minutes: of CPU time, for training.
    """

    task: str
    method: str
    seed: int
    epochs: int
    adapts: bool
    correct: np.ndarray
    source: float | None
    scores: dict[str, float] | None
    minutes: float

    @property
    def accuracy(self) -> float:
        """Percent of the target's test rows."""
        return 100 * float(self.correct.mean())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; rows as bits in base64."""
        return {**vars(self), "correct": packed(self.correct), "rows": len(self.correct), "accuracy": self.accuracy}

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Run:
        """What `to_dict` wrote."""
        facts = {name: value for name, value in facts.items() if name != "accuracy"}
        rows = facts.pop("rows")
        return cls(**{**facts, "correct": unpacked(facts["correct"], rows)})


Figures = Mapping[str, Sequence[Mapping[str, Any]]]
"""{"runs": what `Run.to_dict` gives of each}: what a file keeps, and tables are made of."""


def runs_in(figures: Figures) -> list[Run]:
    """The runs of a file."""
    return [Run.from_dict(facts) for facts in figures["runs"]]


def select(runs: Iterable[Run], *, task: str, method: str | None = None, seed: int | None = None) -> list[Run]:
    """Those of a task, and of one method or seed where it is given."""
    return [run for run in runs if run.task == task and method in (None, run.method) and seed in (None, run.seed)]


class Trainer:
    """Trains what a file does not hold yet, and writes it after each run.

    Args:
        out: the file, continued where it exists; None writes nothing.
        data: files that are measured on.

    Raises:
        DataError: the file is not of this bench. UsageError: it is of another command.
    """

    def __init__(self, out: Path | None, data: Iterable[Path]):
        self.out = out
        self.keeper = Keeper(out, lambda: fingerprint(*data))
        figures = self.keeper.figures or {"runs": []}
        try:
            self.runs = runs_in(figures)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{out} is no file of this bench ({error}); name another with --out") from error

    @property
    def figures(self) -> dict[str, Any]:
        """All runs as plain JSON."""
        return {"runs": [run.to_dict() for run in self.runs]}

    def train(
        self,
        task: Task,
        methods: Mapping[str, Method],
        names: Iterable[str],
        seed: int,
        epochs: int,
        *,
        scored: bool = True,
    ) -> None:
        """Train what is not there yet; `scored`, and score it by what can be known without labels of the target.

        Raises:
            UsageError: what is there was trained for another number of epochs.
        """
        for name in names:
            before = select(self.runs, task=task.name, method=name, seed=seed)
            if before and before[0].epochs != epochs:
                raise UsageError(
                    f"{self.out} holds {name!r} after {before[0].epochs} epochs, not {epochs}; name another with --out"
                )
            if before:
                continue
            run = judged(task, name, methods[name], seed, epochs, scored=scored)
            sys.stderr.write(f"{task.name}, seed {seed}, {name}: {run.minutes:.1f} CPU-minutes\n")
            self.runs.append(run)
            self.keeper.write(self.figures)


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


def compared_methods(
    plain: Any, looks: Mapping[str, Any], objectives: Iterable[str] = tuple(OBJECTIVES)
) -> dict[str, Method]:
    """Name -> method. Source only and objectives on the plain tower; each look alone, and with the mix; what labels of
    the target give.

    Args:
        plain, looks: towers, whose norm is set here.
        objectives: which of OBJECTIVES.
    """
    by_name = _with_both_norms(SOURCE_ONLY, plain)
    by_name |= {name: Method(OBJECTIVES[name], plain) for name in objectives}
    for look, tower in looks.items():
        by_name |= _with_both_norms(look, tower) | {f"{look} + mix": Method(MIX, tower)}
    return by_name | {ON_TARGET: Method(PREDICT, plain, on_target=True)}


def _with_both_norms(name: str, tower: Any) -> dict[str, Method]:
    """Learning from the source alone, by GroupNorm and by BatchNorm; as it is where a tower has no choice."""
    if not hasattr(tower, "norm"):
        return {name: Method(PREDICT, tower)}
    by_group = Method(PREDICT, replace(tower, norm="group"))
    return {name: by_group, name + BATCH_NORM: Method(PREDICT, replace(tower, norm="batch"))}


def judged(task: Task, name: str, method: Method, seed: int, epochs: int, *, scored: bool = True) -> Run:
    """Train a method and keep what is known of it."""
    started = time.process_time()
    train, test = task.on_target(seed) if method.on_target else (task.training, task.target_test)
    model = fitted(method, train, None if method.on_target else task.target, seed, epochs)
    minutes = (time.process_time() - started) / 60
    right = correct(model, test)
    if method.on_target:
        return Run(task.name, name, seed, epochs, False, right, None, None, minutes)
    source = float(correct(model, task.source_test).mean())
    scores = criteria(model, task) if scored else None
    return Run(task.name, name, seed, epochs, method.adapts, right, source, scores, minutes)


def fitted(method: Method, train: Views, target: str | None, seed: int, epochs: int) -> Learner:
    """The method's tower, trained for its objective."""
    [view] = train.columns
    towers: dict[str, EncoderSpec] = {view: method.tower}
    model = Learner(towers, method.objective, epochs=epochs, random_state=seed, **TRAINING)
    return model.fit(train, target=target)


def correct(model: Learner, test: Views) -> np.ndarray:
    """Which rows are predicted rightly, bool (n,)."""
    return np.asarray(model.predict(test)[LABEL] == test.y[LABEL])


def criteria(model: Learner, task: Task) -> dict[str, float]:
    """criterion -> score, from source test rows and unlabelled target rows."""
    unlabelled = np.flatnonzero(task.training.domain == task.target)  # type: ignore[arg-type]
    step = -(-len(unlabelled) // MOST_SCORED)
    seen = joined(task.source_test, task.training[unlabelled[::step]])
    scores = rank({"model": model}, seen, target=task.target, label=LABEL).scores
    return {criterion: float(by_model["model"]) for criterion, by_model in scores.items()}
