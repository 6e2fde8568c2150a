"""The search itself: plain recipes first, then what a sampler proposes, each judged on rows that none is fitted on."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba.data.views import Views
from bouba.errors import BoubaError, DataError, StorageError, require
from bouba.report.study import DONE, FAILED, OUT_OF_TIME, PRUNED, Study, Trial
from bouba.runs.folder import JOURNAL
from bouba.runs.recipe import OF_THE_CUT, build
from bouba.runs.stages import duration
from bouba.runs.tuning.budget import Budget, Limit
from bouba.runs.tuning.candidates import Candidate

if TYPE_CHECKING:
    from bouba.runs.tuning.judging import Judge

NAME, METHOD, PLAIN, FACTS = "tune", "method", "plain", "facts"
LOOKS = (0.25, 0.5)
"""Shares of the epochs after which a trial is held against those before it."""
STARTING = 6  # trials drawn at random, after the plain ones
FRUITLESS = 50  # proposals in a row that were tried before: the space is empty

log = logging.getLogger("bouba")


class _Ended(Exception):
    """A trial that does not run to its end."""

    def __init__(self, state: str):
        self.state = state


@dataclass
class Search:
    """Trials of candidates on one table; an unfinished search of the same folder goes on.

    Args:
        candidates: what may be fitted, the first what `bouba fit` takes. training: rows of all trials.
        judge: scores a fitted model on other rows. limit: of time. folder: of the journal.
        say: takes a sentence on each trial. random_state: of what is proposed.
        refused: method -> why it is no candidate.
    """

    candidates: Sequence[Candidate]
    training: Views
    judge: Judge
    limit: Limit
    folder: Path
    say: Callable[[str], None]
    random_state: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)

    def run(self) -> Study:
        """Try until the time is up.

        Raises:
            DataError: no trial ended with a score; the message has the reason of the first.
        """
        optuna = require("optuna", "tune")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = self._study(optuna)
        trials = [Trial(**t.user_attrs[FACTS]) for t in study.get_trials(deepcopy=False) if FACTS in t.user_attrs]
        self.budget = Budget(self.limit, trials[-1].ended if trials else 0.0)
        if trials:
            self.say(f"tune: {len(trials)} trials are kept, {duration(self.budget.spent)} of the time are used")
        while self._goes_on(trials):
            proposal = self._new(optuna, study, trials)
            if proposal is None:
                break
            trials.append(self._tried(optuna, study, proposal, trials))
        return self._told(trials)

    def _goes_on(self, trials: Sequence[Trial]) -> bool:
        full = self.limit.trials is not None and len(trials) >= self.limit.trials
        return not trials or not (full or self.budget.is_over(self._reserve(trials)))  # one, whatever it takes

    def _reserve(self, trials: Sequence[Trial]) -> float:
        """Seconds that a fit of the best on all rows will take, by those that its trial took."""
        best = _best(trials)
        return 0.0 if best is None else best.seconds * (1 + len(self.judge.rows) / len(self.training))

    def _study(self, optuna: Any) -> Any:
        """The study of the folder. Trials of a process that died are to be tried again."""
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        file = self.folder / JOURNAL
        Path(f"{file}.lock").unlink(missing_ok=True)  # of a process that died: the folder has a lock of its own
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(file), JournalFileOpenLock(str(file))))
        study = optuna.create_study(
            storage=storage,
            study_name=NAME,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        )
        known = study.get_trials(deepcopy=False)
        study.sampler = optuna.samplers.TPESampler(
            seed=self.random_state + len(known),
            multivariate=True,
            group=True,
            n_startup_trials=len(self.candidates) + STARTING,
        )
        if not known:
            for candidate in self.candidates:
                study.enqueue_trial(_plain_point(candidate), user_attrs={PLAIN: True})
        for trial in known:
            if trial.state == optuna.trial.TrialState.RUNNING:
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                if FACTS not in trial.user_attrs:
                    study.enqueue_trial(trial.params, user_attrs={PLAIN: trial.user_attrs.get(PLAIN, False)})
        return study

    def _new(self, optuna: Any, study: Any, trials: Sequence[Trial]) -> tuple[Any, Candidate, dict[str, Any]] | None:
        """The next proposal that was not tried before, with its candidate and values; None where there seem to be no
        more."""
        names = {candidate.method.name: candidate for candidate in self.candidates}
        tried = {_digest(trial.method, trial.settings): trial for trial in trials}
        for _ in range(FRUITLESS):
            proposed = study.ask()
            candidate = names[proposed.suggest_categorical(METHOD, list(names))]
            plain = proposed.user_attrs.get(PLAIN, False)
            values = dict(_drawn(proposed, candidate, plain=plain))
            same = tried.get(_digest(candidate.method.name, values))
            if same is None:
                return proposed, candidate, values
            done = same.state == DONE
            state = optuna.trial.TrialState.COMPLETE if done else optuna.trial.TrialState.PRUNED
            study.tell(proposed, same.score if done else None, state=state)
        return None

    def _tried(
        self, optuna: Any, study: Any, proposal: tuple[Any, Candidate, dict[str, Any]], before: Sequence[Trial]
    ) -> Trial:
        """One trial, fitted and judged, and noted in the journal."""
        proposed, candidate, values = proposal
        plain = proposed.user_attrs.get(PLAIN, False)
        began, score, state, why = self.budget.spent, None, DONE, ""
        try:
            model = self._fitted(proposed, candidate, values, before)
            score = self.judge(model)
            if score != score:  # NaN
                raise DataError("its score is not a number")
        except _Ended as end:
            state = end.state
        except StorageError:  # the machine, not the recipe
            raise
        except (BoubaError, ValueError, ArithmeticError, RuntimeError) as error:
            score, state, why = None, FAILED, " ".join(str(error).split())[:300]
        ended = self.budget.spent
        facts = (len(before), candidate.method.name, plain, values, state, score, round(ended - began, 3))
        trial = Trial(*facts, round(ended, 3), why)
        proposed.set_user_attr(FACTS, vars(trial))
        states = optuna.trial.TrialState  # of what failed the sampler shall learn, too, and it passes over FAIL
        study.tell(proposed, score, state=states.COMPLETE if state == DONE else states.PRUNED)
        self.say(_line(trial, best=_best(before)))
        return trial

    def _fitted(self, proposed: Any, candidate: Candidate, values: Mapping[str, Any], before: Sequence[Trial]) -> Any:
        """The model of a trial; what has epochs is looked at on the way."""
        recipe = candidate.recipe(values)
        model = build(recipe)
        if candidate.method.solved:
            target = recipe["fit"].get("target")
            return model.fit(self.training, **({} if target is None else {"target": target}))
        options = {name: value for name, value in recipe["fit"].items() if name not in OF_THE_CUT}
        look = lambda row: self._look(row, proposed, model, before)  # noqa: E731
        return model.fit(self.training, **options, on_epoch=look)

    def _look(self, row: Mapping[str, float], proposed: Any, model: Any, before: Sequence[Trial]) -> None:
        """After an epoch: end a trial that others are ahead of, or that there is no time for. The first trial that ends
        with a score, and no plain one, is not held against others."""
        epoch = int(row["epoch"])
        if _best(before) is not None and self.budget.is_over(self._reserve(before)):
            raise _Ended(OUT_OF_TIME)
        looks = [max(1, round(share * model.epochs)) for share in LOOKS]
        if epoch not in looks or epoch == model.epochs:
            return
        score = self._judged_on_the_way(model)
        if score is None:
            return
        proposed.report(score, looks.index(epoch) + 1)
        if proposed.should_prune() and not proposed.user_attrs.get(PLAIN, False):
            raise _Ended(PRUNED)

    def _judged_on_the_way(self, model: Any) -> float | None:
        """The score so far, by which nothing that is drawn at random later changes; None of a model that only its end
        makes whole."""
        from bouba.device import device_named, random_state_kept

        with random_state_kept(device_named()):
            try:
                score = self.judge(model)
            except (BoubaError, AttributeError):
                return None
        return score if score == score else None

    def _told(self, trials: Sequence[Trial]) -> Study:
        best = _best(trials)
        if best is None:
            why = trials[0].why if trials else "there was no time for one"
            raise DataError(f"no trial of {len(trials)} ended with a score; the first: {why or trials[0].state}")
        metric = self.judge.metric(next(c.method for c in self.candidates if c.method.name == best.method))
        return Study(
            metric,
            len(self.training),
            len(self.judge.rows),
            self.limit.seconds,
            self.limit.clock,
            list(trials),
            best.number,
            _why(best, trials, metric, len(self.judge.rows)),
            self.refused,
        )


def _plain_point(candidate: Candidate) -> dict[str, Any]:
    """The plain recipe as a point of the space, as far as the space has it."""
    prefix = candidate.method.name
    own = {f"{prefix}.{d.name}": d.span.point(d.usual) for d in candidate.dimensions if d.holds_usual}
    return {METHOD: prefix, **own}


def _drawn(trial: Any, candidate: Candidate, *, plain: bool) -> Iterator[tuple[str, Any]]:
    """(dimension, value) of what differs from the plain recipe."""
    for dimension in candidate.dimensions:
        if plain and not dimension.holds_usual:
            continue
        value = dimension.draw(trial, candidate.method.name)
        if value != dimension.usual:
            yield dimension.name, value


def _digest(method: str, settings: Mapping[str, Any]) -> str:
    return json.dumps([method, settings], sort_keys=True)


def _best(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the best score, of equals the first."""
    done = [trial for trial in trials if trial.state == DONE and trial.score is not None]
    return max(done, key=lambda trial: (trial.score, -trial.number), default=None)


def _line(trial: Trial, best: Trial | None) -> str:
    """What came of a trial, in a line."""
    settings = ", ".join(f"{name.removeprefix('arguments.')} {value}" for name, value in trial.settings.items())
    what = f"tune: {trial.number + 1}. {trial.method}, {'as it is' if trial.plain else settings or 'as it is'}"
    if trial.state != DONE or trial.score is None:
        return f"{what}: {trial.state}{trial.why and f' ({trial.why})'}, {duration(trial.seconds)}"
    ahead = ", the best so far" if best is not None and _best([best, trial]) is trial else ""
    return f"{what}: {trial.score:.4f}{ahead}, {duration(trial.seconds)}"


def _why(best: Trial, trials: Sequence[Trial], metric: str, judged: int) -> str:
    """Why a trial was taken, in a sentence."""
    done = [trial for trial in trials if trial.state == DONE]
    first = next((trial for trial in trials if trial.plain and trial.state == DONE), None)
    of = f"the best {metric} on {judged:,} validation rows, {best.score:.4f}, of {len(done)} trials that ended"
    if first is None or first.number == best.number:
        return f"{best.method} was taken as it is: it has {of}."
    return (
        f"{best.method} was taken: it has {of}; {first.method} as it is has {first.score:.4f}. The best of many is a "
        "little lucky on these rows: the numbers on the rows held out are those to believe."
    )
