"""The rows of tables as vectors in one file: embedded block by block, in as many processes or machines as there are."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bouba import durable
from bouba.errors import BoubaError, Stopped, StorageError, UsageError
from bouba.files import read_json
from bouba.persist import model_folder
from bouba.runs import vectors
from bouba.runs.blocks import BAD_ROWS, Block, Embedder, blocks_of, here, tables_of
from bouba.runs.ending import description, is_of_storage
from bouba.runs.engines.engine import embedded_by, refuse_engine
from bouba.runs.folder import part_of
from bouba.runs.lock import locked
from bouba.runs.processes import Processes
from bouba.runs.reading import names_for
from bouba.runs.stages import Stages

PLAN = "plan.json"


@dataclass(frozen=True)
class Embedded:
    """Vectors that were written.

    Args:
        path: of the file or Lance table. rows: how many it has. bad_rows: cells and rows that could not be read.
    """

    path: Path
    rows: int
    bad_rows: Sequence[Mapping[str, Any]] = ()


def embed(
    run: Any,
    table: Any,
    out: Path,
    *,
    named: Mapping[str, Any],
    engine: str,
    workers: int | None,
    overwrite: bool,
    say: Callable[[str], None],
) -> Embedded:
    """See Run.embed. Blocks that are done stand in OUT.part until all are, so that a later call goes on."""
    refuse_engine(engine, workers)
    vectors.refuse_format(out)
    if not run.model.searchable:
        raise UsageError(f"this {type(run.model).__name__} has no embeddings; fit a method that aligns or fuses views")
    named = names_for(run, table, named)
    processes = Processes.joined()
    place = out.resolve()
    with ExitStack() as stack:
        stack.enter_context(_in_a_line(out))
        processes.lead(lambda: _occupy(stack, place, overwrite, say))
        part = part_of(place)
        tables = [here(each) for each in tables_of(table, run.schema)]
        blocks = processes.agree(lambda: blocks_of(tables))
        plan = {"model": _stamps(run), "tables": [_stamp(each) for each in tables], "named": repr(named)}
        left = processes.share(lambda: _left(part, plan, blocks, say))
        embedder = Embedder(run.model, run.schema, named, tables)
        own = left[processes.number :: processes.count]
        stages = Stages(say if processes.first else _silent)
        done = stack.enter_context(closing(embedded_by(engine, embedder, own, workers)))
        processes.agree(lambda: _write(part, stages, own, done))
        return processes.share(lambda: _finish(run, part, blocks, place))


def _occupy(stack: ExitStack, place: Path, overwrite: bool, say: Callable[[str], None]) -> None:
    """Take the lock of the name, and refuse one that is taken."""
    place.parent.mkdir(parents=True, exist_ok=True)
    stack.enter_context(locked(place, say))
    durable.recover_folder(place)
    if place.exists() and not overwrite:
        raise UsageError(f"{place} exists; choose another -o, or say --overwrite")
    if place.exists() and place.is_dir() != (place.suffix == ".lance"):
        raise UsageError(f"{place} is {'a folder' if place.is_dir() else 'a file'}; choose another -o")


def _left(part: Path, plan: dict[str, Any], blocks: Sequence[Block], say: Callable[[str], None]) -> list[Block]:
    """The blocks that are still to be embedded; those that were made by another model or of other tables are gone."""
    plan |= {"format": 1, "blocks": [block.name for block in blocks]}
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


def _finish(run: Any, part: Path, blocks: Sequence[Block], place: Path) -> Embedded:
    """The blocks as one."""
    model = run.model
    views = {view: model.kinds_[view] for view in model.searchable}
    about = {"run": str(run.path.resolve()), "method": run.name, "views": views, "compared_by": model.compared_by}
    files = [part / block.name for block in blocks]
    bad = [entry for file in files for entry in json.loads(pq.read_schema(file).metadata[BAD_ROWS])]
    rows = vectors.join(files, place, json.dumps(about, ensure_ascii=False).encode())
    shutil.rmtree(part)
    return Embedded(place, rows, bad)


@contextmanager
def _in_a_line(out: Path) -> Iterator[None]:
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


def _stamps(run: Any) -> list[Any]:
    """What tells the model of a run from another."""
    return [_stamp(file) for file in sorted(model_folder(run.path).iterdir())]


def _stamp(table: Any) -> Any:
    """Name, size and time of a file; what is in memory is never the same again."""
    if isinstance(table, list | tuple):
        return [_stamp(each) for each in table]
    if not isinstance(table, str | os.PathLike):
        return uuid.uuid4().hex
    if not os.path.exists(table):
        return os.fspath(table)
    stat = os.stat(table)
    return [os.fspath(table), stat.st_size, stat.st_mtime_ns]


def _silent(line: str) -> None:
    """Say nothing: the first process does."""
