"""What a bench measured, kept as JSON: the numbers, the command, the machine, the data and what it cost.

`make tables` fills the tables of README and docs from these files; `bouba bench compare` lays two beside each other.
"""

from __future__ import annotations

import json
import resource
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import typer

from bouba import durable
from bouba.bench.fresh import high_water_mb
from bouba.errors import DataError, UsageError
from bouba.evaluation import Result
from bouba.evaluation.environment import environment
from bouba.evaluation.table import Table
from bouba.files import read_json

Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Write what is measured to this JSON file; more seeds are added to what it holds."
    ),
]
FILES = ("--out", "-o", "--data", "--judge", "--grid")  # options that tell where files are


@dataclass(frozen=True)
class Kept:
    """One measurement.

    Args:
        command: that made it. environment: see `bouba.evaluation.environment`, with the fingerprint of the data.
        cpu_seconds: of the process and its children, peak_mb: of the process.
        measured: records, or figures that JSON can hold.
    """

    command: str
    environment: Mapping[str, Any]
    cpu_seconds: float
    peak_mb: float
    measured: Result | dict[str, Any]

    @property
    def bench(self) -> str:
        """Its name."""
        return shlex.split(self.command)[2]

    def write(self, path: Path) -> None:
        """As one JSON file."""
        facts = {name: value for name, value in vars(self).items() if name != "measured"}
        measured = self.measured
        numbers = {"records": measured.to_rows()} if isinstance(measured, Result) else {"figures": measured}
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write_text(path, json.dumps(facts | numbers, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Kept:
        """What `write` wrote.

        Raises:
            DataError: the file is no such measurement.
        """
        facts = dict(read_json(path))
        try:
            records, figures = facts.pop("records", None), facts.pop("figures", None)
            return cls(**facts, measured=Result.from_rows(records) if figures is None else figures)
        except (TypeError, KeyError, ValueError) as error:
            raise DataError(f"{path} is no measurement of a bench ({error}); run the bench again with --out") from error


class Keeper:
    """Writes what a bench has measured so far to a file, and goes on from what an earlier process left there.

    Args:
        out: the file; None writes nothing.
        data: fingerprint of what is measured on, made when the file is written first; None where data are simulated.

    Raises:
        UsageError: the file is of another command.
    """

    def __init__(self, out: Path | None, data: Callable[[], str] | None = None):
        self.out = out
        self.command = command_line()
        self.earlier = Kept.read(out) if out is not None and out.exists() else None
        if self.earlier is not None and _without_seeds(self.earlier.command) != _without_seeds(self.command):
            raise UsageError(f"{out} holds what `{self.earlier.command}` measured; name another file")
        self._data = data
        self._goes_on = False  # else all is measured anew
        self._environment: dict[str, Any] | None = None

    @property
    def records(self) -> Result:
        """What is in the file already, to go on from.

        Raises:
            UsageError: it was measured on other data. DataError: there are no records in it.
        """
        records = self._go_on(Result([]))
        if not isinstance(records, Result):
            raise DataError(f"{self.out} holds no records; name another file")
        return records

    @property
    def figures(self) -> dict[str, Any]:
        """What is in the file already, to go on from; empty where there is none.

        Raises:
            UsageError: it was measured on other data. DataError: there are no figures in it.
        """
        figures = self._go_on({})
        if isinstance(figures, Result):
            raise DataError(f"{self.out} holds no figures; name another file")
        return figures

    def _go_on(self, nothing: Result | dict[str, Any]) -> Result | dict[str, Any]:
        if self.earlier is None:
            return nothing
        if self.earlier.environment["data"] != self.data:
            raise UsageError(f"{self.out} holds what was measured on other data; name another file")
        self._goes_on = True
        return self.earlier.measured

    @cached_property
    def data(self) -> str:
        """Fingerprint of what is measured on."""
        return "simulated" if self._data is None else self._data()

    def write(self, measured: Result | dict[str, Any]) -> None:
        """Replace the file."""
        if self.out is None:
            return
        if self._environment is None:
            self._environment = environment(None, self.data)
        earlier = self.earlier if self._goes_on else None
        kept = Kept(
            self.command,
            self._environment | {"date": datetime.now(UTC).isoformat(timespec="seconds")},
            round(cpu_seconds() + (earlier.cpu_seconds if earlier else 0), 1),
            round(max(high_water_mb(), earlier.peak_mb if earlier else 0)),
            measured,
        )
        kept.write(self.out)


def print_tables(tables: Mapping[str, Table]) -> None:
    """Tables one below the other."""
    typer.echo("\n\n".join(table.text() for table in tables.values()))


def cpu_seconds() -> float:
    """Of this process and the children that ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def command_line() -> str:
    """The bench that runs and its options, as they were typed, but for where files are."""
    words = iter(sys.argv[2:] if sys.argv[1:2] == ["bench"] else [])
    kept = ["bouba", "bench"]
    for word in words:
        flag, equals, _ = word.partition("=")
        if flag not in FILES:
            kept.append(word)
        elif not equals:
            next(words, None)
    return shlex.join(kept)


def _without_seeds(command: str) -> list[str]:
    """The words of a command without how many seeds it takes, and what it leaves out."""
    words = shlex.split(command)
    places = [i for i, word in enumerate(words) if word in ("--seeds", "--method")]
    return [word for i, word in enumerate(words) if i not in places and i - 1 not in places]
