"""The kinds of cells that a view can hold: the only place that lists them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bouba.data.characters import file_text, written
from bouba.data.decode.cells import name_of, path_of, record
from bouba.data.decode.endings import AUDIO_ENDINGS, IMAGE_ENDINGS, VIDEO_ENDINGS
from bouba.data.decode.pictures import image, picture_header
from bouba.data.decode.sounds import refuse_sound, sound_header
from bouba.data.several import parts_of
from bouba.data.video import clip_header, video
from bouba.errors import DataError


@dataclass(frozen=True)
class Kind:
    """What is the same for all cells of a kind, whichever tower reads them.

    Args:
        name: as in `views.modalities`, a keyword of `bouba.read` and an option of the command line.
        noun, plural: what messages call one cell, and several.
        option: the help of that option.
        endings: of files that hold such a cell; () where cells are no files.
        decoder: decodes a cell to its end; raises DataError where it cannot be read. None where each cell can.
        header: raises DataError for a cell that shows without decoding that it cannot be read; it costs a small part of
            what `decoder` does and may overlook what breaks in the middle. None where there is no decoder.
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
    header: Callable[[Any], None] | None = None
    summary: Callable[[Any], str] = str
    block: str | None = None

    def fault(self, cell: Any) -> str | None:
        """Why a cell cannot be read, or None where it can: all of it is decoded."""
        return _refusal(self.decoder, cell)

    def header_fault(self, cell: Any) -> str | None:
        """Why a cell cannot be read, as far as its header shows, or all of it for kinds without one."""
        return _refusal(self.header or self.decoder, cell)


def _refusal(read: Callable[[Any], Any] | None, cell: Any) -> str | None:
    try:
        if read is not None:
            for part in parts_of(cell):
                read(part)
    except DataError as error:
        return str(error)
    return None


def listing(row: int, column: str, cell: Any, reason: str) -> dict:
    """A cell that cannot be read, as `bad_rows` lists it."""
    path = path_of(cell)
    value = None if path is None else file_text(path)
    return {"row": row, "column": column, "value": value, "reason": written(reason)}


def file_name(cell: Any) -> str:
    """The file that a cell points to, without its folder; else what a message calls the cell."""
    path = path_of(cell)
    return file_text(os.path.basename(path)) if path else name_of(cell)


def numbers(cell: Any) -> str:
    """The first and last numbers of a vector."""
    return np.array2string(np.asarray(cell), precision=2, threshold=6)


def fields(cell: Any) -> str:
    """The values of a row of a table that are present, by name."""
    return ", ".join(f"{k} = {v if isinstance(v, str) else f'{v:g}'}" for k, v in record(cell).items())


IMAGE = Kind(
    "image",
    "picture",
    "pictures",
    "Column of pictures; repeat for several.",
    endings=IMAGE_ENDINGS,
    decoder=image,
    header=picture_header,
    summary=file_name,
)
TEXT = Kind("text", "text", "text", "Column of text.")
AUDIO = Kind(
    "audio",
    "sound",
    "sounds",
    "Column of sounds.",
    endings=AUDIO_ENDINGS,
    decoder=refuse_sound,
    header=sound_header,
    summary=file_name,
)
VIDEO = Kind(
    "video",
    "video clip",
    "clips",
    "Column of clips, animated pictures among them.",
    endings=VIDEO_ENDINGS,
    decoder=video,
    header=clip_header,
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
