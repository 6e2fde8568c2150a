"""A cluster of Ray: the one that is there, or this machine as one, for as long as it is needed."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bouba.device import wanted_device
from bouba.errors import require

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anybody
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # nothing is packed up and sent: the machines have bouba installed
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as Ray will do by itself, says a warning of it
}
LOGS = ("ray", "ray.data", "ray.train")
OBJECTS = 2**29
"""Bytes of shared memory for blocks on their way, where a cluster is started here."""


@contextmanager
def cluster(library: str) -> Iterator[Any]:
    """Ray, connected: to what this process is connected to; to the cluster that RAY_ADDRESS names; else to this machine
    alone, which is started for it and stopped again.

    Args:
        library: the part of Ray that is used, "ray.data" or "ray.train".

    Raises:
        MissingExtraError: Ray is not installed.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    ray = require("ray", "ray")
    with _quiet(library), _signals_kept():
        if ray.is_initialized():
            yield ray
            return
        yield from _started(ray)


def _started(ray: Any) -> Iterator[Any]:
    """Ray, connected for as long as it is needed."""
    here = "RAY_ADDRESS" not in os.environ
    local: dict[str, Any] = {"object_store_memory": OBJECTS, "include_dashboard": False} if here else {}
    ray.init("local" if here else None, log_to_driver=False, logging_level=logging.ERROR, **local)
    try:
        yield ray
    finally:
        ray.shutdown()


def devices(ray: Any, workers: int | None) -> tuple[int, bool]:
    """How many workers there are to be, and whether each has a GPU: one a GPU, else one a core, where nobody says. None
    has one where the CPU is wanted, see `bouba.device.running_on`."""
    there = ray.cluster_resources()
    gpus = 0 if wanted_device() == "cpu" else int(there.get("GPU", 0))
    if workers is None:
        workers = gpus or max(1, int(there.get("CPU", 1)))
    return workers, gpus >= workers


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Outside, an interruption is what it was before: Ray Train leaves a handler that looks for its cluster."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quiet(library: str) -> Iterator[None]:
    """One of Ray's libraries says nothing: errors are raised. It is imported first, for then it sets up its log."""
    importlib.import_module(library)
    with contextlib.ExitStack() as stack, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="lancedb fork support")  # Ray's forks become programs at once
        for log in map(logging.getLogger, LOGS):
            stack.callback(log.setLevel, log.level)
            log.setLevel(logging.CRITICAL)
        yield
