"""Two runs side by side: as a table for the terminal, and as one HTML page."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bouba import durable
from bouba.data.characters import one_line
from bouba.errors import require
from bouba.evaluation.differences import Difference
from bouba.evaluation.result import Record
from bouba.evaluation.table import text_table
from bouba.report import wording

WIDTH = 100  # columns of a terminal
MOST = 40  # settings that a terminal shows


@dataclass(frozen=True)
class Line:
    """One number of two runs.

    Args:
        domain, direction, metric: as in the records. one, other: the record of each run, None where it has none.
        difference: of the first less the second on the same rows; None where they were not judged so.
    """

    domain: str
    direction: str
    metric: str
    one: Record | None
    other: Record | None
    difference: Difference | None = None

    @property
    def ahead(self) -> int | None:
        """0 or 1, the run that is better by more than chance; None where neither is, or nothing is known."""
        if self.difference is None or self.difference.low <= 0 <= self.difference.high:
            return None
        return int((self.difference.value > 0) == wording.lower_is_better(self.metric))


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Args:
        names: of the runs. paths: their folders. lines: a number each.
        rows: a sentence on the rows that they were judged on. paired: whether these are the same for both.
        settings: dotted name -> values in both recipes, of those that differ. facts: what is told of each, by name.
        remarks: what else to know.
    """

    names: tuple[str, str]
    paths: tuple[str, str]
    lines: Sequence[Line]
    rows: str
    paired: bool
    settings: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    facts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    remarks: Sequence[str] = ()

    @property
    def summary(self) -> str:
        """Who is ahead in how many numbers, as a sentence."""
        judged = [line for line in self.lines if line.difference is not None]
        if not judged:
            return "No difference is paired: each run was judged on rows of its own, so intervals alone tell little."
        parts = [f"{name} is ahead in {count}" for place, name in enumerate(self.names) if (count := self._wins(place))]
        unclear = sum(line.ahead is None for line in judged)
        parts += [f"{unclear} cannot be told apart"] if unclear else []
        return f"Of {len(judged)} differences on the same rows, {', '.join(parts)}."

    def _wins(self, place: int) -> int:
        return sum(line.ahead == place for line in self.lines)

    def format(self) -> str:
        """For a terminal of WIDTH columns."""
        names = [_short(name, 16) for name in self.names]
        parts = [_filled(self.rows), self._numbers(names), _filled(self.summary)]
        if self.settings:
            rows = [
                [_short(name, 36), *(_short(_text(v), 28) for v in values)] for name, values in self.settings.items()
            ]
            more = f"\nand {len(rows) - MOST} more" if len(rows) > MOST else ""
            parts.append(text_table(["setting", *names], rows[:MOST], labels=3) + more)
        parts.append(text_table(["", *names], [[name, *values] for name, values in self.facts.items()], labels=1))
        return "\n\n".join([*parts, *map(_filled, self.remarks)])

    def _numbers(self, names: Sequence[str]) -> str:
        several = len({line.domain for line in self.lines}) > 1
        rows = []
        for line in self.lines:
            task = f"{line.domain}: {line.direction}" if several else line.direction
            label = [_short(task, 24), _short(line.metric, 20)]
            if self.paired:
                rows.append([*label, _value(line.one), _value(line.other), difference_text(line), self.winner(line)])
            else:
                rows.append([*label, _value(line.one, ends=True), _value(line.other, ends=True)])
        header = ["", "", *names, *(["difference [95%]", "ahead"] if self.paired else [])]
        return text_table(header, rows, labels=2)

    def winner(self, line: Line) -> str:
        """The name of the run that is ahead, '' where it is not known."""
        if line.difference is None:
            return ""
        return "unclear" if line.ahead is None else _short(self.names[line.ahead], 16)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        lines = [
            {
                "domain": line.domain,
                "direction": line.direction,
                "metric": line.metric,
                "one": None if line.one is None else asdict(line.one),
                "other": None if line.other is None else asdict(line.other),
                "difference": None if line.difference is None else asdict(line.difference),
                "ahead": None if line.ahead is None else self.names[line.ahead],
            }
            for line in self.lines
        ]
        return {
            "names": self.names,
            "paths": self.paths,
            "paired": self.paired,
            "rows": self.rows,
            "lines": lines,
            "settings": {name: list(values) for name, values in self.settings.items()},
            "facts": {name: list(values) for name, values in self.facts.items()},
            "remarks": list(self.remarks),
        }

    def write(self, path: str | os.PathLike[str]) -> Path:
        """The page, as one HTML file that loads nothing.

        Raises:
            MissingExtraError: jinja2 is not installed.
        """
        from bouba.report.page import environment

        template = environment(require("jinja2", "report"), wording.NO_METHODS).get_template("comparison.html.j2")
        several = len({line.domain for line in self.lines}) > 1
        page = template.render(comparison=self, several=several, reach=self._reach(), value=_value, text=_text)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        durable.write_text(target, page + "\n")
        return target

    def _reach(self) -> dict[str, float]:
        """metric -> the largest end of an interval, by which bars are scaled."""
        reach: dict[str, float] = {}
        for line in self.lines:
            if line.difference is not None:
                ends = max(abs(line.difference.low), abs(line.difference.high), 1e-9)
                reach[line.metric] = max(reach.get(line.metric, 0.0), ends)
        return reach


def difference_text(line: Line) -> str:
    """'+0.031 [-0.010, +0.072]', '' where it is not known."""
    difference = line.difference
    if difference is None:
        return ""
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def _value(record: Record | None, *, ends: bool = False) -> str:
    if record is None:
        return "-"
    interval = f" [{record.low:.3f}, {record.high:.3f}]" if ends and None not in (record.low, record.high) else ""
    return f"{record.value:.3f}{interval}"


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _short(text: str, most: int) -> str:
    text = one_line(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"
