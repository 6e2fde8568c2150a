"""The processes that train together: how they join, how they leave, and what the others do when one ends."""

from __future__ import annotations

import atexit
import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from bouba.device import device_named
from bouba.errors import BoubaError
from bouba.nn.gather import PATIENCE, world_size

if TYPE_CHECKING:
    from accelerate import Accelerator

OF_OTHERS = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe", "Timed out", "timeout", "TCPStore")
"""What stands in messages of torch when another process is gone or does not answer."""
_lost = False


def accelerator(device: str = "auto") -> Accelerator:
    """Join the other processes, if there are any: call it before batches are cut by rank.

    bf16 where the GPU has it, float32 elsewhere; several processes under torchrun or `accelerate launch`.

    Args:
        device: see `bouba.device.device_named`.

    Raises:
        UsageError: no such device here.
    """
    with warnings.catch_warnings():  # in a notebook without ipywidgets tqdm, which we do not use, warns of its bars
        warnings.filterwarnings("ignore", message="IProgress not found")
        from accelerate import Accelerator  # here, for a model that is loaded does not train
        from accelerate.state import AcceleratorState
        from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

    chosen = device_named(device)
    if world_size() == 1:
        AcceleratorState._reset_state(reset_partial_state=True)  # else the first fit decides where all others run
    cuda = chosen.type == "cuda"
    fabric = Accelerator(
        cpu=chosen.type == "cpu",  # else several processes on CPUs would not form a group
        mixed_precision="bf16" if cuda and torch.cuda.is_bf16_supported() else "no",
        kwargs_handlers=[
            DistributedDataParallelKwargs(find_unused_parameters=True),
            InitProcessGroupKwargs(timeout=PATIENCE),
        ],
    )
    if world_size() == 1:
        fabric.state.device = chosen
    if dist.is_initialized():
        atexit.register(_leave)  # a process that ends while its group stands aborts now and then
    return fabric


@contextlib.contextmanager
def others_watched(where: str) -> Iterator[None]:
    """Inside, another process that ended, or has not answered for PATIENCE, is an error in words.

    Args:
        where: what is kept, as the end of a sentence.

    Raises:
        BoubaError: as said.
    """
    try:
        yield
    except RuntimeError as error:
        if world_size() == 1 or not any(words in str(error) for words in OF_OTHERS):
            raise
        global _lost
        _lost = True
        raise BoubaError(
            f"another process of this training has ended or does not answer, see its own message; {where}"
        ) from error


def _leave() -> None:
    """Leave together: a process that goes first takes connections down under the others. One that died of an error
    does not wait, so that its launcher sees the error."""
    if not dist.is_initialized() or _lost or getattr(sys, "last_value", None) is not None:
        return
    with contextlib.suppress(RuntimeError):  # another one has already failed and reports it
        dist.barrier()
    dist.destroy_process_group()
