"""The runs that are served: opened once, kept warm, and opened again when they change on disk."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from bouba.errors import BoubaError
from bouba.persist import model_folder
from bouba.runs.coordinates import coordinates
from bouba.runs.run import Run
from bouba.serve.limits import Refusal
from bouba.serve.recent import Recent

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger("bouba")
LOOKED_AFTER = 0.5  # seconds in which a run on disk is not looked at again
REMEMBERED = 1024  # answers
ITEMS = 8192  # rows, as the API shows them


class Opened:
    """One run.

    Attributes:
        name: under which it is served. path: of its folder.
        items: (name of the index, row) -> what the API shows of it.
    """

    def __init__(self, name: str, path: Path, *, device: str = "auto", writes: bool = True):
        self.name, self.path, self.device, self.writes = name, path, device, writes
        self._lock = threading.Lock()
        self._stamp = self._now()
        self._run = self._warm(Run.open(path, device=device))
        self._looked = time.monotonic()
        self.map_progress: float | None = None
        self._map_failed = False
        self._answers: Recent[Any] = Recent(REMEMBERED)
        self.items: Recent[dict[str, Any]] = Recent(ITEMS)

    def run(self, *, wait: bool = False) -> Run:
        """As it is on disk, or as it was where that cannot be read just now.

        Args:
            wait: look at the disk in any case, rather than answer with what was there a moment before.
        """
        early = not wait and time.monotonic() - self._looked < LOOKED_AFTER
        if early or not self._lock.acquire(blocking=wait):
            return self._run
        try:
            self._looked = time.monotonic()
            now = self._now()
            if now != self._stamp:
                self._run, self._stamp = self._opened_again(now), now
                self._answers, self._map_failed = Recent(REMEMBERED), False
        except Exception as error:  # whatever was half written is no reason to stop answering
            log.warning("%s is served as it was: %s", self.name, error)
        finally:
            self._lock.release()
        return self._run

    def steady(self, function: Callable[P, T]) -> Callable[P, T]:
        """A function of this run that is called once more where the run was replaced while it was answering, which
        takes its files away."""

        def answer(*args: P.args, **kwargs: P.kwargs) -> T:
            run = self.run()
            try:
                return function(*args, **kwargs)
            except Exception:
                if self.run(wait=True) is run:
                    raise
                return function(*args, **kwargs)

        return answer

    def remembered(self, question: Hashable) -> Any:
        """The answer to a question that was answered before; None for another."""
        return self._answers.get(question)

    def remember(self, run: Run, question: Hashable, answer: Any) -> None:
        """Keep the answer that a run gave, unless it was replaced meanwhile."""
        answers = self._answers  # of this run, if it is still this run afterwards
        if run is self._run:
            answers.put(question, answer)

    def map_or_begin(self) -> Any:
        """The map of the run; None where it is being made, which begins now. It is made in a thread of its own.

        Raises:
            Refusal: it cannot be made.
        """
        run = self.run()
        found = run.map(compute=False)
        if found is None and self._map_failed:
            raise Refusal(404, "this run has no map: it could not be made, see the log of the server")
        if found is None and self.map_progress is None:
            self.map_progress = 0.0
            threading.Thread(target=self._make_map, args=(run,), daemon=True).start()
        return found

    def _make_map(self, run: Run) -> None:
        def note(share: float) -> None:
            self.map_progress = share

        try:
            if self.writes:
                run.map(note)
            else:
                run.maps[run.index.name] = coordinates(run.index, note)
        except Exception:
            log.exception("the map of %s could not be made", self.name)
            self._map_failed = True
        finally:
            self.map_progress = None

    def _now(self) -> tuple[Any, ...]:
        """What tells one state on disk from another: the version of the index, and the files of the model."""
        return (_stamp(self.path / "index" / "index.json"), self._model_stamp())

    def _model_stamp(self) -> tuple[Any, ...]:
        try:
            return tuple(_stamp(file) for file in sorted(model_folder(self.path).iterdir()))
        except (OSError, BoubaError):
            return ()

    def _opened_again(self, now: tuple[Any, ...]) -> Run:
        new = Run.open(self.path, device=self.device)
        if now[1] == self._stamp[1]:
            new.model = self._run.model  # which takes longest to load
        return self._warm(new)

    @staticmethod
    def _warm(run: Run) -> Run:
        """Load what the first question would wait for."""
        run.summary()
        if run.has_index:
            if run.known is not None:
                run.known.keep_ready()
            first = run.items(run.index.listing.rows[:1].tolist())[0]
            run.facets()
            for view in first.views:
                run.index.shown(first.row, view)  # opens LanceDB
            _ = run.examples
            text = next((view for view, kind in run.model.kinds_.items() if kind == "text"), None)
            if text is not None:
                run.search({text: "warm"}, k=1)
        return run


def opened_runs(paths: Sequence[Path], *, device: str = "auto", writes: bool = True) -> dict[str, Opened]:
    """Runs by the names of their folders, "-2" and so on behind those that are alike."""
    runs: dict[str, Opened] = {}
    for path in paths:
        stem = name = path.resolve().name
        number = 2
        while name in runs:
            name, number = f"{stem}-{number}", number + 1
        runs[name] = Opened(name, path, device=device, writes=writes)
    return runs


def _stamp(file: Path) -> tuple[str, int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return file.name, stat.st_size, stat.st_mtime_ns, stat.st_ino
