"""How a command ends: what went wrong is one line, and the exit code says whose it was to mend.

2: the caller's. 1: the machine's. 128 + its number: a signal's.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Any, NoReturn

from bouba.cli.naming import in_options
from bouba.cli.printing import to_stderr
from bouba.errors import BoubaError, Stopped, StorageError

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
BROKEN_PIPE = 141  # as a program that SIGPIPE ends


def ends_in_a_line(
    command: Callable[..., None], options: Callable[[], Mapping[str, str]] = dict
) -> Callable[..., None]:
    """The command inside `errors_as_lines`: before typer, which has endings of its own, sees how it ends.

    Args:
        options: gives what the command calls the library's arguments, for messages.
    """

    @wraps(command)
    def ending(*args: Any, **kwargs: Any) -> None:
        with errors_as_lines(options):
            command(*args, **kwargs)

    return ending


@contextmanager
def errors_as_lines(options: Callable[[], Mapping[str, str]] = dict) -> Iterator[None]:
    """Turns errors and interruptions into a line on the error stream and an exit code."""
    try:
        yield
    except BrokenPipeError:  # whoever reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is not flushed yet goes nowhere
        sys.exit(BROKEN_PIPE)
    except KeyboardInterrupt as stop:
        number = getattr(stop, "signal", None) or signal.SIGINT
        _end(stop, str(stop) or "interrupted", 128 + number)
    except StorageError as error:
        _end(error, str(error), 1)
    except BoubaError as error:
        _end(error, in_options(str(error), options()), 2)
    except OSError as error:
        _end(error, f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1)
    except MemoryError as error:
        _end(error, "memory is full: take fewer rows", 1)


def _end(error: BaseException, message: str, code: int) -> NoReturn:
    to_stderr(f"bouba: {message}")
    sys.last_value = error  # type: ignore[assignment]  # for what runs at exit: this process died of an error
    sys.exit(code)


@contextmanager
def signals_as_errors() -> Iterator[None]:
    """SIGTERM and SIGHUP end a command as Ctrl-C does; one that is ignored, as under nohup, stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in taken:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(f"stopped by {signal.Signals(number).name}", signal=number)
