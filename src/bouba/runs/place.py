"""Where a run lies: read as it was when it was opened, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bouba.errors import DataError

Content = TypeVar("Content")


class Place:
    """A run folder, also where the working directory changes.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path):
        self.folder = path.absolute()
        self._identity = self._found()

    def read(self, content: Callable[[Path], Content]) -> Content:
        """Something of the folder.

        Raises:
            DataError: another run stands there by now, so that parts of two would be mixed.
        """
        try:
            read = content(self.folder)
        except Exception as error:
            self._refuse_another(error)
            raise
        self._refuse_another(None)
        return read

    def _refuse_another(self, cause: Exception | None) -> None:
        if self._found() != self._identity:
            raise DataError(f"{self.folder} was replaced since it was opened; open it again: Run.open(...)") from cause

    def _found(self) -> tuple[int, int] | None:
        """What the name means now."""
        try:
            found = os.stat(self.folder)
        except OSError:
            return None
        return found.st_dev, found.st_ino
