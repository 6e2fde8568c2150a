"""Fitting under Ray Train: each worker runs what a process of torchrun runs, and the first writes the run folder."""

from __future__ import annotations

import pickle
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bouba.device import running_on
from bouba.errors import BoubaError
from bouba.runs import making
from bouba.runs.blocks import here
from bouba.runs.ending import how_to_go_on, in_a_line
from bouba.runs.engines.ray_cluster import cluster, devices
from bouba.runs.folder import refuse_occupied
from bouba.runs.processes import process_number

PAUSE = 0.2
"""Seconds between two looks at what the workers have to say."""


class Lines:
    """What workers send home."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failures: list[BaseException] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def fail(self, error: BaseException) -> None:
        self.failures.append(error)

    def since(self, first: int) -> list[str]:
        return self.lines[first:]

    def failed(self) -> list[BaseException]:
        return self.failures


def make(
    table: Any,
    out: Path,
    *,
    workers: int | None,
    verbose: bool,
    say: Callable[[str], None] | None,
    **options: Any,
) -> None:
    """`bouba.runs.making.make` by workers of a cluster, all of whose machines see the table and the folder.

    Args:
        workers: one a GPU, else one a core, when None.

    Raises:
        As `make`. BoubaError: a worker died; the message says how to go on.
    """
    place = out.resolve()
    own = place.with_name(f".{place.name}.ray")  # Ray Train wants a folder of its own
    if not options["resume"]:  # what does not fit is refused before anything starts
        options["compose"](None)
        refuse_occupied(place, overwrite=options["overwrite"])
    with in_a_line(out), cluster("ray.train") as ray:
        from ray import cloudpickle
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer
        from ray.train.v2.api.exceptions import TrainingFailedError

        count, gpu = devices(ray, workers)
        lines = ray.remote(num_cpus=0)(Lines).remote()
        table = cloudpickle.dumps(here(table))  # arrays that Ray shares out itself cannot be written to
        task = {"table": table, "out": place, "lines": lines, "device": "cuda" if gpu else "cpu", "options": options}
        trainer = TorchTrainer(
            _work,
            train_loop_config=task,
            scaling_config=ScalingConfig(num_workers=count, use_gpu=gpu),
            run_config=RunConfig(name="fit", storage_path=str(own)),
        )
        done = threading.Event()
        listener = threading.Thread(target=_listen, args=(ray, lines, done, making.listener(say, verbose)))
        listener.start()
        died: Exception | None = None
        try:
            trainer.fit()
        except TrainingFailedError as error:
            died = error
        finally:
            done.set()
            listener.join()
            shutil.rmtree(own, ignore_errors=True)
        if failures := ray.get(lines.failed.remote()):
            raise failures[0]
        if died is not None:
            raise BoubaError(f"a worker of Ray has ended ({died!s:.200}); {how_to_go_on(out)}") from died


def _work(task: dict[str, Any]) -> None:
    """A worker's part. Its error goes home as what it is, and ends the others: they may wait for this one."""
    import ray

    lines = task["lines"]
    say = (lambda line: ray.get(lines.say.remote(line))) if process_number() == 0 else None
    try:
        with running_on(task["device"]):
            making.make(pickle.loads(task["table"]), task["out"], verbose=False, say=say, **task["options"])
    except SystemExit:  # another one has failed
        pass
    except BaseException as error:
        ray.get(lines.fail.remote(error))
        raise


def _listen(ray: Any, lines: Any, done: threading.Event, say: Callable[[str], None]) -> None:
    """Pass on what the workers say until they are done."""
    heard, last = 0, False
    while not last:
        last = done.wait(PAUSE)
        for line in ray.get(lines.since.remote(heard)):
            say(line)
            heard += 1
