"""The rows of tables as vectors in one file: embedded block by block, in as many processes or machines as there are."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bouba import durable
from bouba.errors import UsageError
from bouba.runs import vectors
from bouba.runs.block_files import bad_rows_of, embedded_blocks, keeping_blocks, stamp_of_file
from bouba.runs.blocks import Embedder, here, tables_of
from bouba.runs.engines.engine import refuse_engine
from bouba.runs.folder import part_of
from bouba.runs.lock import locked
from bouba.runs.processes import Processes
from bouba.runs.reading import names_for


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
        stack.enter_context(keeping_blocks(out))
        processes.lead(lambda: _occupy(stack, place, overwrite, say))
        part = part_of(place)
        tables = [here(each) for each in tables_of(table, run.schema)]
        plan = {"tables": [_stamp(each) for each in tables], "named": repr(named)}
        embedder = Embedder(run.model, run.schema, named, tables)
        files = embedded_blocks(run, embedder, part, plan, engine=engine, workers=workers, processes=processes, say=say)
        return processes.share(lambda: _finish(run, part, files, place))


def _occupy(stack: ExitStack, place: Path, overwrite: bool, say: Callable[[str], None]) -> None:
    """Take the lock of the name, and refuse one that is taken."""
    place.parent.mkdir(parents=True, exist_ok=True)
    stack.enter_context(locked(place, say))
    durable.recover_folder(place)
    if place.exists() and not overwrite:
        raise UsageError(f"{place} exists; choose another -o, or say --overwrite")
    if place.exists() and place.is_dir() != (place.suffix == ".lance"):
        raise UsageError(f"{place} is {'a folder' if place.is_dir() else 'a file'}; choose another -o")


def _finish(run: Any, part: Path, files: Sequence[Path], place: Path) -> Embedded:
    """The blocks as one."""
    model = run.model
    views = {view: model.kinds_[view] for view in model.searchable}
    about = {"run": str(run.path.resolve()), "method": run.name, "views": views, "compared_by": model.compared_by}
    bad = bad_rows_of(files)
    rows = vectors.join(files, place, json.dumps(about, ensure_ascii=False).encode())
    shutil.rmtree(part)
    return Embedded(place, rows, bad)


def _stamp(table: Any) -> Any:
    """Name, size and time of a file; what is in memory is never the same again."""
    if isinstance(table, list | tuple):
        return [_stamp(each) for each in table]
    if not isinstance(table, str | os.PathLike):
        return uuid.uuid4().hex
    if not os.path.exists(table):
        return os.fspath(table)
    return stamp_of_file(table)
