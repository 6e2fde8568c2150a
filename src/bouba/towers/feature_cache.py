"""Features on disk, by what they are features of: computed once, shared by every run and process.

One SQLite file for each frozen network, named after a digest of its weights and settings; a row for each cell. SQLite
takes care of what is hard: a batch is there whole or not at all, and processes that write at once wait for each other.
Deleting a file, or the whole folder, only costs the time to compute it again.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from bouba.data.disk import cache_folder as cache_folder

log = logging.getLogger("bouba")
WAIT = 60.0  # seconds for another process to finish its batch
KEYS_AT_ONCE = 500  # in one query; SQLite takes 999 everywhere


class FeatureCache:
    """Rows of float32 (width,) by key. Nothing is held in memory; each call opens the file and closes it.

    Where the file cannot be read or written (a disk that is full or read-only, a damaged file) it warns once in the
    log and behaves as if it were empty: features are then computed again.

    Args:
        network: digest of the network and its settings; another network is another file.
        width: of the features.
        folder: where the files lie; `cache_folder()` by default.
    """

    def __init__(self, network: str, width: int, *, folder: Path | None = None):
        self.file = (folder or cache_folder()) / "features" / f"{network}.sqlite"
        self.width = width
        self._warned = False

    def read(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """key -> features (width,) of the keys that are stored."""
        stored: dict[bytes, np.ndarray] = {}

        def select(db: sqlite3.Connection) -> None:
            for start in range(0, len(keys), KEYS_AT_ONCE):
                batch = keys[start : start + KEYS_AT_ONCE]
                marks = ",".join("?" * len(batch))
                for key, values in db.execute(f"SELECT key, features FROM cells WHERE key IN ({marks})", batch):
                    stored[key] = np.frombuffer(values, np.float32)

        if self.file.exists():
            self._with(select)
        return {key: values for key, values in stored.items() if len(values) == self.width}

    def write(self, features: Mapping[bytes, np.ndarray]) -> None:
        """Keep some rows, all of them or none; those that are stored already stay."""
        rows = [(key, np.asarray(values, np.float32).tobytes()) for key, values in features.items()]

        def insert(db: sqlite3.Connection) -> None:
            with db:  # one transaction
                db.executemany("INSERT OR IGNORE INTO cells VALUES (?, ?)", rows)

        self._with(insert)

    def _with(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do something with the open file; where it cannot be used, warn once."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.file, timeout=WAIT)) as db:
                db.execute("CREATE TABLE IF NOT EXISTS cells (key BLOB PRIMARY KEY, features BLOB)")
                work(db)
        except (OSError, sqlite3.Error) as error:
            if not self._warned:
                log.warning("features are not kept in %s (%s); they are computed again each time", self.file, error)
            self._warned = True
