"""What files of views are called."""

from __future__ import annotations

import re
from collections.abc import Collection


def file_stem(view: str, taken: Collection[str]) -> str:
    """A file's name for a view, without its ending; none of those that are taken."""
    stem = re.sub(r"[^\w-]+", "_", view, flags=re.ASCII).strip("_") or "view"
    return stem if stem not in taken else f"{stem}_{len(taken)}"
