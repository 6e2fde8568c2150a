"""The kinds of cells that a view can hold: the only place that lists them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bouba.data import decode
from bouba.data.characters import file_text
from bouba.data.video import video
from bouba.errors import DataError


@dataclass(frozen=True)
class Kind:
    """What is the same for all cells of a kind, whichever tower reads them.

    Args:
        name: as in `views.modalities`, a keyword of `bouba.read` and an option of the command line.
        noun, plural: what messages call one cell, and several.
        option: the help of that option.
        endings: of files that hold such a cell; () where cells are no files.
        decoder: a cell -> the thing itself; raises DataError where it cannot be read. None where each cell can.
        summary: a cell in a few words, for a page or a terminal.
        block: the view that several columns make side by side where no pattern names it; None where each column is a
            view of its own.
    """

    name: str
    noun: str
    plural: str
    option: str
    endings: tuple[str, ...] = ()
    decoder: Callable[[Any], Any] | None = None
    summary: Callable[[Any], str] = str
    block: str | None = None

    def fault(self, cell: Any) -> str | None:
        """Why a cell cannot be read, or None where it can."""
        try:
            if self.decoder is not None:
                self.decoder(cell)
        except DataError as error:
            return str(error)
        return None


def file_name(cell: Any) -> str:
    """The file that a cell points to, without its folder; else what a message calls the cell."""
    path = decode.path_of(cell)
    return file_text(os.path.basename(path)) if path else decode.name_of(cell)


def numbers(cell: Any) -> str:
    """The first and last numbers of a vector."""
    return np.array2string(np.asarray(cell), precision=2, threshold=6)


def fields(cell: Any) -> str:
    """The values of a row of a table that are present, by name."""
    return ", ".join(f"{k} = {v if isinstance(v, str) else f'{v:g}'}" for k, v in decode.record(cell).items())


IMAGE = Kind(
    "image",
    "picture",
    "pictures",
    "Column of pictures; repeat for several.",
    endings=decode.IMAGE_ENDINGS,
    decoder=decode.image,
    summary=file_name,
)
TEXT = Kind("text", "text", "text", "Column of text.")
AUDIO = Kind(
    "audio",
    "sound",
    "sounds",
    "Column of sounds.",
    endings=decode.AUDIO_ENDINGS,
    decoder=lambda cell: decode.stored_audio(cell, rate=1),
    summary=file_name,
)
VIDEO = Kind(
    "video",
    "video clip",
    "clips",
    "Column of clips, animated pictures among them.",
    endings=decode.VIDEO_ENDINGS,
    decoder=video,
    summary=file_name,
)
VECTOR = Kind(
    "vector",
    "row of numbers",
    "numbers",
    "Column of numbers; 'left_*' puts all columns of that form into one view.",
    summary=numbers,
    block="numbers",
)
TABLE = Kind(
    "table",
    "row of a table",
    "rows of a table",
    "Column of numbers or categories for one table view; gaps allowed, 'shop_*' as above.",
    summary=fields,
    block="table",
)
KINDS = {kind.name: kind for kind in (IMAGE, TEXT, AUDIO, VIDEO, VECTOR, TABLE)}
BLOCKS = {kind.name: kind.block for kind in KINDS.values() if kind.block is not None}
"""Kinds of which several columns may make one view -> what that view is called."""
FILES = {kind.name: kind.endings for kind in KINDS.values() if kind.endings}
"""Kinds of which cells may be files -> endings of those."""
