"""Making a run: who may write the folder, what a run that was cut off or is extended goes on from, and how it ends."""

from __future__ import annotations

import logging
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba import durable
from bouba.errors import StorageError, UsageError
from bouba.runs import folder as run_folder
from bouba.runs.ending import in_a_line, recorded
from bouba.runs.folder import BASELINES, CHECKPOINT, part_of, read_facts
from bouba.runs.lock import locked
from bouba.runs.methods import DEFAULT, method_named
from bouba.runs.preparing import prepare
from bouba.runs.processes import Processes
from bouba.runs.recipe import build
from bouba.runs.stages import Clock
from bouba.runs.toml import to_toml
from bouba.runs.tracking import SafeTracker, Tracker
from bouba.runs.tuning.tuning import Tuning

if TYPE_CHECKING:
    from bouba.runs.fitting import Fitting

log = logging.getLogger("bouba")
EPOCHS = "arguments.epochs"
Compose = Callable[[Path | None], dict[str, Any]]
"""From the recipe of a run that goes on, None for a new one, to the complete recipe."""


@dataclass(frozen=True)
class Origin:
    """The folder that a resumed run goes on from.

    Args:
        folder: of a run that was cut off, or finished.
    """

    folder: Path

    @classmethod
    def of(cls, out: Path) -> Origin:
        """Of a run by its name. UsageError where there is nothing to go on from."""
        for folder in (part_of(out), out):
            if (folder / "recipe.toml").exists():
                return cls(folder)
        raise UsageError(f"nothing to resume at {part_of(out)}; leave --resume out to start anew")

    @property
    def finished(self) -> bool:
        """Whether the run is whole."""
        return not self.folder.name.endswith(".part")

    @property
    def recipe(self) -> dict[str, Any]:
        """What it was made by."""
        return tomllib.loads((self.folder / "recipe.toml").read_text(encoding="utf-8"))

    @property
    def facts(self) -> dict[str, Any]:
        """What run.json holds."""
        return read_facts(self.folder)

    def extension(self, recipe: Mapping[str, Any]) -> tuple[int, int] | None:
        """Epochs before and now of a recipe that trains longer; None for the same settings.

        Raises:
            UsageError: any other setting differs; the message names it.
        """
        changed = run_folder.changed_settings(self.recipe, recipe)
        longer = None
        if EPOCHS in changed and not method_named(recipe["method"]).solved:
            before, now = (build(each).epochs for each in (self.recipe, recipe))
            if now > before:
                longer = before, now
            if now >= before:
                del changed[EPOCHS]
        for name, (before, now) in changed.items():
            state = "finished" if self.finished else "cut off"
            raise UsageError(
                f"the run that was {state} at {self.folder} has {name} = {before!r}, not {now!r}; resume with the same "
                "settings or more --epochs, or say --overwrite to start anew"
            )
        if longer is not None and self.finished and not (self.folder / CHECKPOINT).exists():
            raise UsageError(
                f"{self.folder} keeps no checkpoint to train on from; say --overwrite to train all {longer[1]} epochs"
            )
        return longer


def make(
    table: Any,
    out: Path,
    *,
    compose: Compose,
    named: Mapping[str, Any],
    baseline: bool,
    resume: bool,
    overwrite: bool,
    verbose: bool,
    say: Callable[[str], None] | None,
    tracker: Tracker | None = None,
    tuning: Tuning | None = None,
) -> Any:
    """Make a run folder, or go on with one; see Run.fit, and bouba.tune for `tuning`, which searches for its recipe.

    Returns:
        The fitted model; None where the run was finished before.

    Raises:
        UsageError: what does not fit together; nothing was written. Stopped: from outside. StorageError: the machine
        could not read or write.
    """
    processes = Processes.joined()
    say = listener(say, verbose)
    if not processes.first:
        say, verbose, tracker = _silent, False, None
    place = out.resolve()
    if not place.name:
        raise UsageError(f"{out} is no folder for a run; choose another -o")
    with ExitStack() as stack:
        stack.enter_context(in_a_line(out))
        if processes.first:
            stack.enter_context(_parents(place))
        processes.lead(lambda: _occupy(stack, place, resume=resume, overwrite=overwrite, say=say))
        origin = Origin.of(place) if resume else None
        recipe = processes.agree(lambda: compose(None if origin is None else origin.folder / "recipe.toml"))
        if "method" not in recipe and resume:
            recipe["method"] = DEFAULT.name
        if origin is not None:
            tuning = Tuning.of(origin.facts)
        making = _Making(table, place, origin, recipe, named, baseline, verbose, say, SafeTracker(tracker), tuning)
        return making.run(processes)


def listener(say: Callable[[str], None] | None, verbose: bool) -> Callable[[str], None]:
    """What takes sentences on what happens: `say`; else the error stream or the log."""
    return say or (_show if verbose else log.info)


def _show(line: str) -> None:
    """A line on the error stream."""
    sys.stderr.write(f"{line}\n")


def _silent(line: str) -> None:
    """Say nothing: the first process does."""


def _occupy(stack: ExitStack, place: Path, *, resume: bool, overwrite: bool, say: Callable[[str], None]) -> None:
    """Take the lock, and refuse a place where nothing may begin."""
    stack.enter_context(locked(place, say))
    run_folder.settle(place)
    if resume:
        Origin.of(place)
    else:
        run_folder.refuse_occupied(place, overwrite=overwrite)


@dataclass
class _Making:
    """What is known of a run before its table is read; see `make`."""

    table: Any
    out: Path
    origin: Origin | None
    recipe: dict[str, Any]
    named: Mapping[str, Any]
    baseline: bool
    verbose: bool
    say: Callable[[str], None]
    tracker: SafeTracker
    tuning: Tuning | None

    def run(self, processes: Processes) -> Any:
        """The fitted model, with its folder in place; None where nothing was left to do."""
        clock = Clock()
        fitting = processes.agree(lambda: self._prepared(clock))
        if fitting is None:
            self.say(_finished(self.out, self.recipe))
            return None
        fitting.divide(processes)
        clock("hold out")
        if self.tuning is not None:
            self.tuning.check(fitting)
        fresh = self.tuning is None and (self.origin is None or self.origin.finished)
        part = processes.lead(lambda: self._started(fitting)) or part_of(self.out)
        checkpoint = _version(part)
        for sentence in fitting.announcements(self.out):
            self.say(sentence)
        if self.tuning is not None:
            self.tuning.search(fitting, part)
            clock("tune")
        training = lambda: fitting.train(part, processes, resume=self.origin is not None, verbose=self.verbose)  # noqa: E731
        try:
            processes.together(training)
        except Exception:
            if processes.first and fresh and _version(part) == checkpoint:  # before an epoch ended: nothing to resume
                shutil.rmtree(part, ignore_errors=True)
            raise
        clock("train")
        rivals = processes.together(lambda: fitting.rivals(part))
        clock("train what it is compared with")
        fitting.finish(part, self.out, rivals, processes)
        return fitting.model

    def _facts(self, name: str, default: Any = None) -> Any:
        """What the run that this one goes on from noted down."""
        return default if self.origin is None else self.origin.facts.get(name, default)

    def _prepared(self, clock: Clock) -> Fitting | None:
        """The table, read, and all that does not fit refused; None for a finished run that is to be as it is."""
        made_of = self._facts("table")
        if self._unchanged(self.recipe):
            given = recorded(self.table)
            if given is not None and made_of is not None and given != made_of:
                raise UsageError(f"{self.out} was made of {', '.join(made_of)}; choose another -o, or say --overwrite")
            return None
        table = made_of if self.table is None else self.table
        if table is None:
            raise UsageError("name the table: bouba fit TABLE -o FOLDER, or Run.fit(TABLE, out=FOLDER)")
        recorded_in = None if self.origin is None else self.origin.folder
        read = prepare if self.tuning is None else self.tuning.prepare
        prepared = read(table, self.recipe, named={**self.named, "recorded": recorded_in})
        from bouba.runs.fitting import Fitting  # with all that training and measuring take

        clock("read")
        fitting = Fitting.of(prepared, say=self.say, clock=clock, recorded=recorded_in)
        baseline = self.baseline and self._facts("baseline", True)
        fitting.tracker = self.tracker
        fitting.facts = {"table": recorded(table), "baseline": baseline}
        fitting.facts |= {} if self.tuning is None else self.tuning.facts
        if self.origin is not None and (longer := self.origin.extension(fitting.recipe)) is not None:
            self.say(f"the run was made for {longer[0]} epochs and goes on to {longer[1]}")
        return None if self._unchanged(fitting.recipe) else fitting

    def _unchanged(self, recipe: Mapping[str, Any]) -> bool:
        """Whether a finished run is to be as it is. UsageError where it is to be another."""
        if self.origin is None or not self.origin.finished:
            return False
        try:
            return self.origin.extension(recipe) is None
        except UsageError:
            if recipe is self.recipe:  # the table may still complete it
                return False
            raise

    def _started(self, fitting: Fitting) -> Path:
        """The folder to work in, with all that a later process needs to go on."""
        origin = self.origin
        if origin is None or origin.finished:
            return run_folder.begin(self.out, fitting.write_start, base=None if origin is None else origin.folder)
        if origin.extension(fitting.recipe) is not None:
            durable.write_text(origin.folder / "recipe.toml", to_toml(fitting.recipe))
            shutil.rmtree(origin.folder / BASELINES, ignore_errors=True)  # they were to be as long
        return origin.folder


def _version(part: Path) -> bytes | None:
    """What the checkpoint of a run says of itself; None where there is none."""
    file = part / CHECKPOINT / "facts.json"
    return file.read_bytes() if file.exists() else None


def _finished(out: Path, recipe: Mapping[str, Any]) -> str:
    """What can be done with a run that needs no resuming."""
    if method_named(recipe["method"]).solved:
        return f"{out} is finished; --overwrite makes it anew"
    epochs = build(recipe).epochs
    return f"{out} is finished, {epochs} epochs; --epochs {2 * epochs} trains on, --overwrite starts anew"


@contextmanager
def _parents(out: Path) -> Iterator[None]:
    """The folders above a run, made where they are missing, and removed again where nothing was written into them."""
    missing = [folder for folder in out.parents if not folder.exists()]
    above = next(folder for folder in out.parents if folder.exists())
    if not above.is_dir():
        raise StorageError(f"{above} is a file, and {out} would be inside it; choose another -o")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for folder in missing:
            try:
                folder.rmdir()
            except OSError:  # something is in it
                break
