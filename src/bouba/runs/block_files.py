"""Blocks of vectors as files of a folder, one a block as it is done, so that what was cut off goes on from there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bouba import durable
from bouba.errors import BoubaError, Stopped, StorageError
from bouba.files import read_json
from bouba.persist import model_folder
from bouba.runs.blocks import BAD_ROWS, Block, Embedder, blocks_of
from bouba.runs.ending import description, is_of_storage
from bouba.runs.engines.engine import embedded_by
from bouba.runs.processes import Processes
from bouba.runs.stages import Stages

PLAN = "plan.json"


def embedded_blocks(
    run: Any,
    embedder: Embedder,
    part: Path,
    plan: Mapping[str, Any],
    *,
    engine: str,
    workers: int | None,
    processes: Processes,
    say: Callable[[str], None],
) -> list[Path]:
    """Files of Parquet in order, one a block of an embedder's tables; those that were there already are not made again.

    Args:
        part: the folder that keeps them. plan: what they are of, as JSON; what stands there by another plan goes.
        processes: each of which embeds a share.
    """
    blocks = processes.agree(lambda: blocks_of(embedder.tables))
    model = [stamp_of_file(file) for file in sorted(model_folder(run.path).iterdir())]
    plan = {"format": 1, "model": model, "blocks": [block.name for block in blocks], **plan}
    left = processes.share(lambda: _left(part, plan, blocks, say))
    own = left[processes.number :: processes.count]
    stages = Stages(say if processes.first else lambda line: None)
    with closing(embedded_by(engine, embedder, own, workers)) as done:
        processes.agree(lambda: _write(part, stages, own, done))
    return [part / block.name for block in blocks]


def bad_rows_of(files: Sequence[Path]) -> list[dict[str, Any]]:
    """What could not be read of the rows of some blocks."""
    return [entry for file in files for entry in json.loads(pq.read_schema(file).metadata[BAD_ROWS])]


@contextmanager
def keeping_blocks(out: Path) -> Iterator[None]:
    """Turns an interruption and what the disk raises into errors that say how to go on."""
    kept = "the blocks that are done are kept; the same command goes on"
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Stopped(f"{str(stop) or 'interrupted'}; {kept}", signal=getattr(stop, "signal", None)) from stop
    except Exception as error:
        if isinstance(error, BoubaError) or not is_of_storage(error):
            raise
        raise StorageError(f"{description(error, out)}; {kept}") from error


def stamp_of_file(file: str | os.PathLike[str]) -> list[Any]:
    """Name, size and time, which tell a file from what it was before."""
    stat = os.stat(file)
    return [os.fspath(file), stat.st_size, stat.st_mtime_ns]


def _left(part: Path, plan: dict[str, Any], blocks: Sequence[Block], say: Callable[[str], None]) -> list[Block]:
    """The blocks that are still to be embedded; those that were made by another model or of other tables are gone."""
    if not (part / PLAN).exists() or read_json(part / PLAN) != plan:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        durable.write_text(part / PLAN, json.dumps(plan, ensure_ascii=False))
    left = [block for block in blocks if not (part / block.name).exists()]
    if len(left) < len(blocks):
        say(f"embed: goes on, {len(blocks) - len(left):,} of {len(blocks):,} blocks were done before")
    return left


def _write(part: Path, stages: Stages, blocks: Sequence[Block], done: Iterator[tuple[Block, pa.Table]]) -> None:
    """A file for each block as it is done, in whatever order."""
    rows = sum(block.stop - block.start for block in blocks)
    for _ in stages.each("embed", blocks, lambda block: f"{rows:,} rows in {len(blocks):,} blocks"):
        block, table = next(done)
        new = part / f".{block.name}.new"
        pq.write_table(table, new)
        new.replace(part / block.name)
