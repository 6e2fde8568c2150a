"""Where numbers are computed: the one place that decides."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING

from bouba.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FORMS = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_name: ContextVar[str] = ContextVar("device", default="auto")


def device_named(name: str = "auto") -> torch.device:
    """The device of a name.

    Args:
        name: "auto" for that of the innermost `running_on`, else a GPU where there is one (CUDA, then Apple's), else
            the CPU; "cpu", "cuda", "cuda:1", "mps". Of several processes of a launcher, "cuda" gives each its own.

    Raises:
        UsageError: no such name, or this machine has none of these.
    """
    if not isinstance(name, str) or not FORMS.fullmatch(name):
        raise UsageError(f"a device is auto, cpu, cuda, cuda:1 or mps, got {name!r:.60}")
    import torch

    count, apple = torch.cuda.device_count() if torch.cuda.is_available() else 0, torch.backends.mps.is_available()
    if name == "auto":
        name = _name.get()
    if name == "auto":
        name = "cuda" if count else "mps" if apple else "cpu"
    if name == "mps" and not apple:
        raise UsageError("no device 'mps': torch finds no GPU of Apple's here; take --device cpu or auto")
    if not name.startswith("cuda"):
        return torch.device(name)
    if not count:
        built = "finds no GPU" if torch.backends.cuda.is_built() else f"{torch.__version__} is built without CUDA"
        raise UsageError(f"no device {name!r}: torch {built} here; take --device cpu or auto")
    kind, _, number = name.partition(":")
    place = int(number) if number else int(os.environ.get("LOCAL_RANK", torch.cuda.current_device())) % count
    if place >= count:
        raise UsageError(f"no device {name!r}: torch finds {count} here, cuda:0 to cuda:{count - 1}")
    return torch.device(kind, place)


def wanted_device() -> str:
    """The name that the innermost `running_on` was given; "auto" outside of any."""
    return _name.get()


@contextmanager
def running_on(name: str) -> Iterator[None]:
    """Inside, "auto" means this device, and kernels that take none, as Triton's, run on it. "auto" changes nothing.

    Raises:
        UsageError: no such device.
    """
    if name == "auto":
        yield
        return
    device_named(name)
    token = _name.set(name)
    try:
        with _current(name):
            yield
    finally:
        _name.reset(token)


def _current(name: str) -> AbstractContextManager:
    if not name.startswith("cuda:"):
        return nullcontext()  # nothing is imported for it
    import torch

    return torch.cuda.device(device_named(name))


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device. A GPU of CUDA copies it while this process goes on."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        pinned = tensor if tensor.is_pinned() else tensor.pin_memory()
        return pinned.to(device, non_blocking=True)
    return tensor.to(device)


def waits(device: torch.device) -> bool:
    """Whether a number on a device can be looked at only once all that was asked of it is done."""
    return device.type != "cpu"


@contextmanager
def random_state_kept(device: torch.device) -> Iterator[None]:
    """Outside, torch's generators of the CPU and of this device stand as before."""
    import torch

    with torch.random.fork_rng([device] if device.type == "cuda" else [], device_type="cuda"):
        yield
