"""WebDataset: archives whose files of one name before the first dot are one row, and what comes after it a column.

    000017.jpg  000017.txt  000017.json  000018.jpg  ...

Members lie in an archive as they are, so each is read by its place, and rows may be asked for in any order. Texts,
records and classes are read at once; pictures, sounds and clips when they are asked for. Reference: github.com/
webdataset/webdataset, the format.
"""

from __future__ import annotations

import io
import json
import logging
import tarfile
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from bouba.data.decode.cells import text
from bouba.data.disk import kept, key_of
from bouba.data.formats.parts import Part
from bouba.data.kinds import FILES
from bouba.data.mapped import OnDisk
from bouba.data.table import Table
from bouba.errors import DataError

log = logging.getLogger("bouba")
KEY = "__key__"
TEXTS = ("txt", "text", "caption")
CLASSES = ("cls", "cls2", "label")
RECORDS = ("json", "jsn")
ARRAYS = ("npy",)
FETCHED, BLOCKS = 128, 24  # rows whose members are fetched at once from far away, and how many such blocks are kept
AT_ONCE = 1000  # members that are read together
MEMBERS = "members.json"
VERSION = 1


def read(path: Path) -> Table:
    """See `read_parts`."""
    return read_parts([Part(str(path))])


def read_parts(parts: Sequence[Part]) -> Table:
    """The rows of archives, one after the other.

    Columns are named as endings; fields of records by themselves. Pictures of several endings are one column "image",
    unless a row has two of them; so are sounds and clips. What no ending explains is left out with a warning.

    Raises:
        DataError: an archive that is compressed or damaged, or no row.
    """
    rows = [row for number, part in enumerate(parts) for row in _rows(part, number)]
    if not rows:
        raise DataError(f"no row in {parts[0].address}; an archive holds files such as 0001.jpg and 0001.txt")
    endings = Counter(ending for row in rows for ending in row.members)
    columns: dict[str, Any] = {KEY: [row.key for row in rows]}
    kinds = {KEY: "meta"}
    used = set()
    for kind, of_kind in FILES.items():
        own = [ending for ending in endings if f".{ending}".endswith(of_kind)]
        together = all(sum(ending in row.members for ending in own) < 2 for row in rows)
        for name, group in ({kind: own} if together and own else {ending: [ending] for ending in own}).items():
            columns[name], kinds[name] = _Members.of(parts, rows, group), kind
        used |= set(own)
    bad: list[dict] = []
    for ending in endings:
        if ending.split(".")[-1] in (*TEXTS, *CLASSES, *RECORDS, *ARRAYS):
            used.add(ending)
            _add_read(columns, ending, parts, rows, bad)
            kinds |= {ending: "text"} if ending in TEXTS else {ending: "label"} if ending in CLASSES else {}
    if others := {ending: count for ending, count in endings.items() if ending not in used}:
        listed = ", ".join(f"{count} .{ending}" for ending, count in others.items())
        log.warning("%s: members of these endings are left out: %s", parts[0].name, listed)
    return Table(columns, kinds=kinds, bad_rows=bad)


@dataclass(frozen=True)
class _Row:
    """Files of one name: ending -> (number of the archive, where it begins, bytes)."""

    key: str
    members: dict[str, tuple[int, int, int]]


class _Members(OnDisk):
    """A column of members of archives: {"bytes": ..., "path": ...}, None where a row has none."""

    def __init__(self, parts: Sequence[Part], places: np.ndarray, names: Sequence[str]):
        self.parts, self.places, self.names = parts, places, names
        self.block = FETCHED if any(part.storage is not None for part in parts) else None
        self._blocks: OrderedDict[tuple[int, int], tuple[int, bytes]] = OrderedDict()  # the last ones
        self._lock = Lock()

    @classmethod
    def of(cls, parts: Sequence[Part], rows: Sequence[_Row], endings: Sequence[str]) -> _Members:
        """Of the members with one of some endings."""
        chosen = [next((ending for ending in endings if ending in row.members), None) for row in rows]
        places = [(-1, 0, 0) if ending is None else row.members[ending] for row, ending in zip(rows, chosen)]
        names = [f"{row.key}.{ending}" for row, ending in zip(rows, chosen)]
        return cls(list(parts), np.array(places, np.int64), names)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: int) -> dict[str, Any] | None:
        number, start, size = self.places[row].tolist()
        if number < 0:
            return None
        part = self.parts[number]
        content = part.contents([(start, size)])[0] if part.storage is None else self._fetched(row, number, start, size)
        return {"bytes": content, "path": f"{part.address}/{self.names[row]}"}

    def _fetched(self, row: int, number: int, start: int, size: int) -> bytes:
        """A member far away, from all that its block of rows takes of the archive, fetched at once."""
        key = (row // FETCHED, number)
        with self._lock:
            if key not in self._blocks:
                places = self.places[key[0] * FETCHED : (key[0] + 1) * FETCHED]
                places = places[places[:, 0] == number]
                before = int(places[:, 1].min())
                size_of_all = int(places[:, 1:].sum(1).max()) - before
                self._blocks[key] = before, self.parts[number].contents([(before, size_of_all)])[0]
                while len(self._blocks) > BLOCKS:
                    self._blocks.popitem(last=False)
            self._blocks.move_to_end(key)
            first, content = self._blocks[key]
        return content[start - first : start - first + size]

    def __reduce__(self):
        return _Members, (self.parts, self.places, self.names)

    def identity(self) -> Any:
        return key_of([part.facts for part in self.parts], self.places.tobytes())

    def has(self, kind: str) -> np.ndarray:
        return self.places[:, 0] >= 0


def _rows(part: Part, number: int) -> list[_Row]:
    """The rows of one archive; where its members lie is kept beside other copies."""

    def write(folder: Path) -> None:
        (folder / MEMBERS).write_text(json.dumps(_members(part)), encoding="utf-8")

    folder = kept(key_of("tar", VERSION, part.facts), write, size=1 << 16, what=f"the list of files in {part.name}")
    rows: dict[str, _Row] = {}
    for name, start, size in json.loads((folder / MEMBERS).read_text(encoding="utf-8")):
        place, _, file = name.rpartition("/")
        stem, dot, ending = file.partition(".")
        if not dot or not stem or file.startswith("."):
            continue
        key = f"{place}/{stem}" if place else stem
        row = rows.setdefault(key, _Row(key, {}))
        if ending.lower() in row.members:
            log.warning("%s holds %s twice; the first one is read", part.name, name)
        row.members.setdefault(ending.lower(), (number, start, size))
    return list(rows.values())


def _members(part: Part) -> list[tuple[str, int, int]]:
    """Name, first byte and size of each file of an archive."""
    try:
        with part.opened() as file, tarfile.open(fileobj=file, mode="r:") as archive:
            return [(text(m.name), m.offset_data, m.size) for m in archive if m.isfile() and not m.issparse()]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{part.address} is not a plain tar archive: {error}; unpack .gz first") from error


def _add_read(
    columns: dict[str, Any], ending: str, parts: Sequence[Part], rows: Sequence[_Row], bad: list[dict]
) -> None:
    """Columns of what is read at once: texts, the fields of records, arrays."""
    last = ending.split(".")[-1]
    cells: list[Any] = [None] * len(rows)
    members = [(place, row.members[ending]) for place, row in enumerate(rows) if ending in row.members]
    for start in range(0, len(members), AT_ONCE):
        for place, content in _contents(parts, members[start : start + AT_ONCE]):
            try:
                cells[place] = _parsed(last, content)
            except (ValueError, EOFError) as error:
                reason = f"{rows[place].key}.{ending}: {str(error).splitlines()[0]}"
                bad.append({"row": place, "column": ending, "value": None, "reason": reason})
    if last not in RECORDS:
        columns[ending] = cells
        return
    for name in dict.fromkeys(name for record in cells if record is not None for name in record):
        field = f"{ending}.{name}" if name in columns else name
        columns[field] = [None if record is None else record.get(name) for record in cells]


def _contents(parts: Sequence[Part], members: Sequence[tuple[int, tuple[int, int, int]]]) -> list[tuple[int, bytes]]:
    """(row, what its member holds), of members that lie in any of the archives."""
    found = []
    for number in dict.fromkeys(member[0] for _, member in members):
        own = [(place, member[1:]) for place, member in members if member[0] == number]
        contents = parts[number].contents([(start, size) for _, (start, size) in own])
        found += [(place, content) for (place, _), content in zip(own, contents, strict=True)]
    return found


def _parsed(ending: str, content: bytes) -> Any:
    if ending in ARRAYS:
        return np.load(io.BytesIO(content), allow_pickle=False)
    written = content.decode("utf-8-sig").strip()
    if ending not in RECORDS:
        return int(written) if ending in CLASSES and written.lstrip("-").isdigit() else written
    record = json.loads(written)
    if not isinstance(record, dict):
        raise ValueError("not an object")
    return record
