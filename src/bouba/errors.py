"""Everything bouba raises on purpose.

    BoubaError
      +- UsageError (ValueError)        the caller can mend it; the command line exits with 2
      |    +- DataError                 a table, column or cell that cannot be used
      |    |    +- DataTypeError (TypeError)   one that holds no numbers, as scikit-learn has it
      |    +- RecipeError               a recipe key or name that does not exist
      |    +- ModalityError             a view the model does not have
      +- MissingExtraError (ImportError)     an optional dependency; the message is the command that installs it
      +- StorageError (OSError)         the machine: a full disk, no permission; the command line exits with 1
    Stopped (KeyboardInterrupt)         Ctrl-C or a signal; the message says what is kept and how to go on

A message says what came, what was expected, and the next move.
"""

import difflib
import importlib
import importlib.util
from collections.abc import Iterable
from types import ModuleType


class BoubaError(Exception):
    """Root of all errors raised by bouba."""


class UsageError(BoubaError, ValueError):
    """A mistake the caller can mend."""


class DataError(UsageError):
    """A table, column or cell that cannot be used."""


class DataTypeError(DataError, TypeError):
    """A table, column or cell that holds no numbers."""


class RecipeError(UsageError):
    """A recipe key or name that does not exist."""


class ModalityError(UsageError):
    """A view the model does not have."""


class MissingExtraError(BoubaError, ImportError):
    """An optional dependency is not installed."""


class StorageError(BoubaError, OSError):
    """The machine could not read or write."""


class Stopped(KeyboardInterrupt):
    """A fit was stopped from outside.

    Args:
        signal: its number, where it is known; else Ctrl-C.
    """

    def __init__(self, message: str, *, signal: int | None = None):
        super().__init__(message)
        self.signal = signal


MOST_NAMES = 40
LONGEST_NAME = 80


def nearest(name: str, known: Iterable[str]) -> str:
    """'; did you mean X?' when something known is close to `name`, else the known names: some of many, the start of
    long ones."""
    known = sorted(known)
    short = {each[:LONGEST_NAME]: None for each in known}
    close = difflib.get_close_matches(name[:LONGEST_NAME], short, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    listed = ", ".join(map(repr, list(short)[:MOST_NAMES])) or "none"
    return f"; there is {listed}" + (f" and {len(known) - MOST_NAMES:,} more" if len(short) > MOST_NAMES else "")


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or name the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _missing(module, extra) from error


def require_installed(module: str, extra: str) -> None:
    """Name the command that installs an optional dependency where it is not there; nothing is imported."""
    if importlib.util.find_spec(module) is None:
        raise _missing(module, extra)


def _missing(module: str, extra: str) -> MissingExtraError:
    return MissingExtraError(
        f"{module} is not installed; it comes with: pip install 'bouba[{extra}]' "
        f"(in a clone: pip install -e '.[{extra}]')"
    )
