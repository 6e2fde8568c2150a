"""A folder of pictures, sounds and clips, with or without a table that names them."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bouba.data.characters import file_text
from bouba.data.guess import first_moves
from bouba.data.kinds import FILES
from bouba.data.table import Table
from bouba.data.video import ANIMATED
from bouba.errors import DataError

log = logging.getLogger("bouba")
MANIFESTS = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Tables that name the files of the folder in which they are."""
KIND_OF = {ending: kind for kind, endings in FILES.items() for ending in endings}
LEFT_BEHIND = {"thumbs.db", "desktop.ini"}


def pair_files(folder: Path) -> Table:
    """All pictures, sounds and clips below a folder, labelled by its folders.

    Files of different kinds that differ in nothing but their ending are one row: cat.png, cat.wav and the words about
    them in cat.txt. Files of other kinds are left out with a warning.

    Raises:
        DataError: no such file.
    """
    files = _files(folder)
    rows = _paired(files)
    if not rows:
        raise DataError(
            f"no picture, sound or clip and no {MANIFESTS[0]} in {folder}; give a table that names the files"
        )
    columns: dict[str, Any] = {}
    for kind in FILES:
        if any(kind in row for row in rows):
            columns[kind] = [str(row[kind].relative_to(folder)) if kind in row else None for row in rows]
    kinds = {kind: kind for kind in columns}
    captions = [first.with_suffix(".txt") for first in (next(iter(row.values())) for row in rows)]
    if any(file.is_file() for file in captions):
        written = [
            file.read_bytes().decode("utf-8-sig", "replace").strip() if file.is_file() else None for file in captions
        ]
        columns["text"] = written
        kinds |= {"text": "text", "name": "meta"}
    _warn_of_others(folder, files, captions)
    columns["name"] = [file_text(file.stem).replace("_", " ").replace("-", " ") for file in captions]
    if len({re.sub(r"\d+", "", name) for name in columns["name"]}) <= max(1, len(captions) // 20):
        kinds["name"] = "meta"  # img001, img002, ...: numbered, not named
    labels = [file_text(str(file.parent.relative_to(folder))) for file in captions]
    if len(set(labels)) > 1:
        columns["label"] = labels
    return Table(columns, folder, kinds)


def holds_media(folder: Path) -> bool:
    """Whether a picture, sound or clip lies below a folder."""
    return any(file.suffix.lower() in KIND_OF for file in _files(folder))


def warn_of_unnamed(folder: Path, manifest: str, columns: Mapping[str, Any]) -> None:
    """Warn of pictures, sounds and clips below a folder that no cell of its manifest names."""
    cells = (column[row] for column in columns.values() for row in range(len(column)))
    named = {os.path.normpath(folder / cell) for cell in cells if isinstance(cell, str) and cell and "\0" not in cell}
    media = [file for file in _files(folder) if file.suffix.lower() in KIND_OF]
    unnamed = [file for file in media if os.path.normpath(file) not in named]
    if unnamed:
        log.warning(
            "%d of %d pictures, sounds and clips in %s are not named in %s and left out, first %s",
            *(len(unnamed), len(media), folder, manifest, unnamed[0].relative_to(folder)),
        )


def _files(folder: Path) -> list[Path]:
    """Every file below a folder, but those that systems leave behind."""
    files = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        files += [Path(place, name) for name in names if not name.startswith(".") and name.lower() not in LEFT_BEHIND]
    return sorted(files)


def _warn_of_others(folder: Path, files: list[Path], captions: list[Path]) -> None:
    """Warn of files that are neither pictures, sounds, clips nor their captions."""
    read = {*captions}
    others = [file for file in files if file.suffix.lower() not in KIND_OF and file not in read]
    if others:
        endings = Counter(file.suffix.lower() or "without ending" for file in others)
        most = sorted(endings.items(), key=lambda item: (-item[1], item[0]))
        listed = ", ".join(f"{count} {ending}" for ending, count in most[:5])
        log.warning("%d files in %s are no pictures, sounds or clips and left out: %s", len(others), folder, listed)


def _paired(files: list[Path]) -> list[dict[str, Path]]:
    """kind -> file, for each name in each folder; a second file of one kind is a row of its own."""
    kind_of = dict(KIND_OF)
    files = [file for file in files if file.suffix.lower() in kind_of]
    if first_moves(file for file in files if file.suffix.lower() in ANIMATED):
        kind_of |= dict.fromkeys(ANIMATED, "video")
    rows: dict[tuple[Path, int], dict[str, Path]] = {}
    for file in files:
        kind, number = kind_of[file.suffix.lower()], 0
        while kind in rows.get((file.with_suffix(""), number), {}):
            number += 1
        rows.setdefault((file.with_suffix(""), number), {})[kind] = file
    return list(rows.values())
