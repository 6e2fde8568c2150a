"""The engines by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from bouba.errors import UsageError, nearest
from bouba.runs.processes import process_count

if TYPE_CHECKING:
    import pyarrow as pa

    from bouba.runs.blocks import Block, Embedder

LOCAL, RAY = "local", "ray"
ENGINES = (LOCAL, RAY)


def refuse_engine(engine: str, workers: int | None) -> None:
    """UsageError for an engine that there is not, workers that none has, and a launcher around one that launches."""
    if engine not in ENGINES:
        raise UsageError(f"no engine {engine!r}{nearest(engine, ENGINES)}")
    if engine == LOCAL and workers is not None:
        raise UsageError("--workers is for --engine ray; on one machine: torchrun --nproc-per-node N -m bouba ...")
    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers} is not a whole number from 1")
    if engine == RAY and process_count() > 1:
        raise UsageError("--engine ray starts processes itself; leave torchrun out")


def make_by(engine: str, workers: int | None) -> Callable[..., Any]:
    """`bouba.runs.making.make`, or the same by a cluster."""
    refuse_engine(engine, workers)
    if engine == RAY:
        from bouba.runs.engines import ray_fit

        return functools.partial(ray_fit.make, workers=workers)
    from bouba.runs.making import make

    return make


def embedded_by(
    engine: str, embedder: Embedder, blocks: Sequence[Block], workers: int | None
) -> Generator[tuple[Block, pa.Table], None, None]:
    """Blocks and what an embedder gives of each, in whatever order they are done."""
    if engine == RAY:
        from bouba.runs.engines.ray_embed import embedded

        return embedded(embedder, blocks, workers)
    return ((block, embedder(block)) for block in blocks)
