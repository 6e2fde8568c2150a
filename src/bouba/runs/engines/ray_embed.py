"""Embedding by Ray Data: a pool of actors, each with the model, that take one block after another."""

from __future__ import annotations

import pickle
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bouba.errors import BoubaError
from bouba.runs.blocks import Block, Embedder
from bouba.runs.engines.ray_cluster import cluster, devices


class Actor:
    """One of the pool.

    Args:
        embedder: a reference to it. gpu: whether this actor has one.
    """

    def __init__(self, embedder: Any, gpu: bool):
        import ray

        self.embedder: Embedder = pickle.loads(ray.get(embedder))
        self.embedder.move("cuda" if gpu else "cpu")

    def __call__(self, batch: Mapping[str, np.ndarray]) -> dict[str, list]:
        """Of each block its place, and its table or what was refused, as bytes."""
        done = [self._of(block) for block in batch["block"]]
        return {
            "place": list(batch["place"]),
            "table": [table for table, _ in done],
            "refusal": [refusal for _, refusal in done],
        }

    def _of(self, block: Sequence[int]) -> tuple[bytes, bytes]:
        try:
            return _as_bytes(self.embedder(Block(*map(int, block)))), b""
        except BoubaError as error:  # as what it is: Ray would send home how it looks
            return b"", pickle.dumps(error)


def embedded(
    embedder: Embedder, blocks: Sequence[Block], workers: int | None
) -> Generator[tuple[Block, pa.Table], None, None]:
    """Blocks and their tables, in whatever order they are done. One that an actor died over is done by another; each
    comes once."""
    if not blocks:
        return
    with cluster("ray.data") as ray:
        from ray import data

        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        count, gpu = devices(ray, workers)
        embedder.move("cpu")  # what travels must need no GPU to arrive
        # kept here, so that an actor that starts anew finds it; arrays that Ray shares out itself cannot be written to
        shared = ray.put(ray.cloudpickle.dumps(embedder))
        items = [
            {"place": place, "block": [block.table, block.start, block.stop]} for place, block in enumerate(blocks)
        ]
        done = data.from_items(items, override_num_blocks=len(items)).map_batches(
            Actor,
            fn_constructor_kwargs={"embedder": shared, "gpu": gpu},
            batch_size=1,
            compute=data.ActorPoolStrategy(size=min(count, len(blocks))),
            num_cpus=1,
            num_gpus=1 if gpu else 0,
        )
        for batch in done.iter_batches(batch_size=None, prefetch_batches=1):
            for place, table, refusal in zip(*(batch[name] for name in ("place", "table", "refusal")), strict=True):
                if refusal:
                    raise pickle.loads(refusal)
                yield blocks[int(place)], pa.ipc.open_stream(table).read_all()


def _as_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()
