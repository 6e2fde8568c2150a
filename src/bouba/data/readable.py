"""Whether a cell can be read: each kind's decoder, tried."""

from __future__ import annotations

from typing import Any

from bouba.data import decode
from bouba.data.video import video
from bouba.errors import DataError


def check(kind: str, value: Any) -> str | None:
    """Why a cell of that kind cannot be read, or None when it can."""
    try:
        if kind == "image":
            decode.image(value)
        elif kind == "audio":
            decode.stored_audio(value, rate=1)
        elif kind == "video":
            video(value)
    except DataError as error:
        return str(error)
    return None
