"""Earlier versions of an index: what they held, going back to one, and letting them go."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from bouba.errors import UsageError
from bouba.search import grow, matrices, store
from bouba.search.store import State, Version


def state_of(state: State, number: int) -> State:
    """An index as it was after a change.

    Raises:
        UsageError: no such version, or no longer.
    """
    there = {version.number: version for version in (*state.earlier, state.as_version)}
    if number not in there:
        listed = ", ".join(map(str, there))
        raise UsageError(f"the index has no version {number}; there is {listed}")
    version = there[number]
    earlier = tuple(each for each in state.earlier if each.number < number)
    return replace(state, **{**vars(version), "earlier": earlier})


def restore(path: Path, table: Any, state: State, number: int) -> State:
    """Make what an index held once its next version."""
    target = state_of(state, number)

    def write() -> State:
        table.restore(target.version)
        return replace(state, views=target.views, probes=target.probes, recall=target.recall)

    return _rewritten(path, table, state, write, words=f"version {number} restored")


def compact(path: Path, table: Any, state: State) -> State:
    """Let the earlier versions go, and with them what left the index since."""

    def write() -> State:
        version = None
        while version != table.version:  # until nothing is left to merge, or the last step below would go on
            version = table.version
            table.optimize(cleanup_older_than=grow.NEVER)
        return replace(state, earlier=())

    state = _rewritten(path, table, state, write)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that readers of those versions must open the index again
        table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
    matrices.sweep(store.matrix_folder(path, state.table), state)
    return state


def _rewritten(path: Path, table: Any, state: State, write: Callable[[], State], *, words: str | None = None) -> State:
    """A change after which the matrices are made of the table, in files of their own: those of other versions stay."""
    writer = matrices.Writer(store.matrix_folder(path, state.table), state, {})

    def written() -> State:
        changed = write()
        writer.write(table, replace(changed, cells=table.count_rows()))
        return changed

    return grow.change(path, table, state, written, writer, words=words)


def listed(state: State) -> list[Version]:
    """All versions that can be restored, the oldest first; the last one is what the index holds."""
    return [*state.earlier, state.as_version]


def bytes_on_disk(path: Path) -> int:
    """What an index takes."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
