"""Workers that run trials, and a supervisor that ends those that hang."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from scripts.reliability.experiment import Experiment, Tally

HOME = Path(__file__).parents[2]
STARTING = 120.0  # seconds that a worker may take to import what it tries


def run(experiment: Experiment, seeds: list[int], *, seconds: float | None = None, workers: int = 2) -> Tally:
    """Try every seed, or as many as the time allows.

    Args:
        seconds: instead of the experiment's.
        workers: processes at once.
    """
    tally, started = Tally(experiment, len(seeds)), time.monotonic()
    end = started + (experiment.seconds if seconds is None else seconds)
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for seed in seeds:
        waiting.put(seed)
    threads = [
        threading.Thread(target=_supervise, args=(experiment, waiting, tally, end))
        for _ in range(1 if experiment.alone else min(workers, len(seeds)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally.seconds = time.monotonic() - started
    return tally


def _supervise(experiment: Experiment, waiting: queue.SimpleQueue, tally: Tally, end: float) -> None:
    worker: Worker | None = None
    while time.monotonic() < end:
        try:
            seed = waiting.get_nowait()
        except queue.Empty:
            break
        worker = worker or Worker(experiment)
        fault = worker.answer(seed)
        if worker.ended:
            worker.close()
            worker = None
        tally.tried += 1
        if fault is not None:
            tally.failures[seed] = fault
            sys.stderr.write(f"{experiment.name} --seed {seed}: {fault}\n")
    if worker is not None:
        worker.close()


class Worker:
    """A process, and a session of its own, that tries seeds of one experiment."""

    def __init__(self, experiment: Experiment):
        self.experiment, self.folder, self.ended = experiment, Path(tempfile.mkdtemp(prefix="reliability")), False
        self.stderr = (self.folder / "stderr").open("w+", errors="replace")
        path = os.pathsep.join(filter(None, [str(HOME / "src"), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts.reliability.supervise", experiment.name, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            cwd=HOME,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        self._line(STARTING)  # ready

    def answer(self, seed: int) -> str | None:
        """What went wrong with a seed."""
        try:
            self.process.stdin.write(f"{seed}\n".encode())  # type: ignore[union-attr]
            self.process.stdin.flush()  # type: ignore[union-attr]
        except BrokenPipeError:
            pass
        line = self._line(self.experiment.clock)
        if line:
            return json.loads(line)
        self.ended = True
        if self.process.poll() is None and line is None:
            return f"no answer within {self.experiment.clock:g} s"
        self.stderr.flush()
        last = (self.folder / "stderr").read_text(errors="replace").strip().splitlines()[-1:]
        return f"the process ended with {self.process.wait()}: {''.join(last)[:200]}"

    def _line(self, seconds: float) -> bytes | None:
        """What the worker says next, nothing if it ended, None if the time is over."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
            return self.process.stdout.readline() if selector.select(seconds) else None  # type: ignore[union-attr]

    def close(self) -> None:
        """End it, with all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def attempt(trial: Callable[[int, Path], str | None], seed: int, folder: Path) -> str | None:
    """What went wrong with a seed; whatever a trial raises is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return trial(seed, folder)
    except BaseException as error:
        place = [f for f in traceback.extract_tb(error.__traceback__) if "bouba" in f.filename][-1:]
        where = f" ({Path(place[0].filename).name}:{place[0].lineno})" if place else ""
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{where}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(name: str, folder: str) -> None:
    """Read seeds, write what went wrong, a line each."""
    from scripts.reliability.experiments import EXPERIMENTS

    experiment, answers = EXPERIMENTS[name], os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a trial prints is no answer
    if experiment.memory is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + experiment.memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        answers.write(json.dumps(attempt(experiment.trial, int(line), Path(folder) / line.strip())) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
