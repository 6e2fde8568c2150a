"""The files that a table lies in: one, several that match a pattern or stand in a folder, here or where fsspec reads.

lake/*.parquet      s3://bucket/lake      gs://bucket/lake/part-*.tar      memory://lake
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from bouba.errors import DataError, require

LEFT_OUT = (".", "_")
"""What names of files begin with that are no part of a table, as _SUCCESS and _metadata."""


@dataclass(frozen=True)
class Part:
    """One file.

    Args:
        address: its path; far away, as `storage` knows it. storage: a file system of fsspec; None for this machine's.
    """

    address: str
    storage: Any = None

    @property
    def name(self) -> str:
        """Without its folder."""
        return PurePosixPath(self.address).name if self.storage else Path(self.address).name

    @property
    def ending(self) -> str:
        """In lower case, with its dot; of a.tar.gz both."""
        last = PurePosixPath(self.name.lower())
        return "".join(last.suffixes[-2:]) if last.suffix in (".gz", ".bz2", ".xz", ".zst") else last.suffix

    @property
    def facts(self) -> tuple:
        """What tells the file from what it was before: path, size, time of change or digest."""
        if self.storage is None:
            state = os.stat(self.address)
            return (os.path.abspath(self.address), state.st_size, state.st_mtime_ns)
        info = self.storage.info(self.address)
        changed = [info.get(name) for name in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created")]
        return (str(self.storage.protocol), self.address, self.size, *map(str, changed))

    @property
    def size(self) -> int:
        """In bytes."""
        return os.path.getsize(self.address) if self.storage is None else int(self.storage.size(self.address))

    def opened(self) -> BinaryIO:
        """Open for reading. OSError where it cannot be."""
        return open(self.address, "rb") if self.storage is None else self.storage.open(self.address, "rb")

    def contents(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """Some of its bytes, by (first byte, size). DataError where they cannot be read."""
        try:
            if self.storage is not None:
                starts, ends = [start for start, _ in places], [start + size for start, size in places]
                return self.storage.cat_ranges([self.address] * len(places), starts, ends, on_error="raise")
            with open(self.address, "rb") as file:
                return [_read_at(file, start, size) for start, size in places]
        except Exception as error:  # whatever the library of a storage raises
            if not isinstance(error, OSError) and self.storage is None:
                raise
            raise DataError(f"{self.address} cannot be read: {' '.join(str(error).split())[:200]}") from error


def _read_at(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)


def is_far(source: Any) -> bool:
    """Whether a source is an address of fsspec, as s3://bucket/x.parquet."""
    return isinstance(source, str) and "://" in source and not source.lower().startswith("file://")


def is_pattern(source: Any) -> bool:
    """Whether a path that is not there stands for the files that fit it."""
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    return glob.has_magic(path) and not os.path.exists(path)


def parts_of(source: str, endings: Sequence[str]) -> list[Part]:
    """The files of an address or pattern, sorted; of a folder those with one of some endings.

    Raises:
        DataError: none. MissingExtraError: fsspec, or what reads this kind of address.
    """
    if not is_far(source):
        found = [Part(path) for path in sorted(glob.glob(source, recursive=True)) if os.path.isfile(path)]
        return _some(source, found)
    require("fsspec", "hub")
    from fsspec.core import url_to_fs

    try:
        storage, path = url_to_fs(source)
        if glob.has_magic(path):
            found = [Part(address, storage) for address in sorted(storage.glob(path)) if storage.isfile(address)]
        elif storage.isdir(path):
            files = [Part(address, storage) for address in sorted(storage.find(path))]
            found = [part for part in files if part.ending in endings and not part.name.startswith(LEFT_OUT)]
        else:
            found = [Part(path, storage)] if storage.exists(path) else []
    except ImportError as error:
        raise DataError(f"{source}: {error}") from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"{source} cannot be read: {' '.join(str(error).split())[:200] or type(error).__name__}"
        ) from error
    return _some(source, found)


def _some(source: str, found: list[Part]) -> list[Part]:
    if not found:
        raise DataError(f"no such file or folder: {source}")
    return found


def inside(folder: Path, endings: Sequence[str]) -> list[Part]:
    """The files of some endings below a folder, sorted; without hidden ones, _SUCCESS and the like."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in endings and file.is_file())
    kept = [f for f in files if not any(name.startswith(LEFT_OUT) for name in f.relative_to(folder).parts)]
    return [Part(str(file)) for file in kept]
