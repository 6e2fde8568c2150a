"""Whether a cell of some kind can be read."""

from __future__ import annotations

from typing import Any


def check(kind: str, cell: Any) -> str | None:
    """Why a cell cannot be read, or None where it can: all of it is decoded.

    Args:
        kind: one of `bouba.data.kinds.KINDS`. cell: as it stands in a table.

    Raises:
        DataError: no such kind.

    >>> check("image", b"dear reader")
    'not a picture: 11 bytes (these bytes are no known image format)'
    """
    from bouba.data.kinds import KINDS  # which is made of this package
    from bouba.errors import DataError, nearest

    if kind not in KINDS:
        raise DataError(f"no kind {kind!r}{nearest(kind, KINDS)}")
    return KINDS[kind].fault(cell)
