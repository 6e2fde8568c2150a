"""Tables as plain text for the terminal, as Markdown for a page, and as HTML for a notebook."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from bouba.data.characters import one_line
from bouba.evaluation.seeds import over_seeds, seeds_interval

BOLD = re.compile(r"\*\*(.*?)\*\*")


@dataclass(frozen=True)
class Table:
    """What a bench prints and a page shows.

    Args:
        header: of the columns. lines: cells as text; `bold` ones stand out where that can be shown.
        labels: columns that name a line.
        note: sentences below.

    >>> table = Table(["method", "r@1"], [["mine", bold("0.31")]], note="One run.")
    >>> print(table.text())
    method   r@1
    mine    0.31
    <BLANKLINE>
    One run.
    >>> print(table.markdown())
    | method | r@1 |
    |---|---|
    | mine | **0.31** |
    <BLANKLINE>
    One run.
    """

    header: Sequence[str]
    lines: Sequence[Sequence[str]]
    labels: int = 1
    note: str = ""

    def text(self) -> str:
        """For the terminal."""
        plain = [[BOLD.sub(r"\1", cell) for cell in line] for line in self.lines]
        return f"{text_table(self.header, plain, labels=self.labels)}\n\n{self.note}".rstrip()

    def markdown(self) -> str:
        """For a page."""
        rule = "|" + "---|" * len(self.header)
        lines = _blanked(self.lines, self.labels)
        rows = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]
        return "\n".join([f"| {' | '.join(self.header)} |", rule, *rows, "", self.note]).rstrip()


def bold(cell: str) -> str:
    """A cell that stands out."""
    return f"**{cell}**"


def text_table(header: Sequence[str], lines: Sequence[Sequence[str]], *, labels: int) -> str:
    """Columns padded to one width: the first `labels` to the left, the rest to the right.

    A label equal to the one above it is left blank while all labels before it are equal too.

    >>> print(text_table(["method", "r@1"], [["mine", "0.310"], ["yours", "0.2"]], labels=1))
    method    r@1
    mine    0.310
    yours     0.2
    """
    rows = [list(header), *_blanked([[one_line(cell) for cell in line] for line in lines], labels)]
    widths = [max(len(line[column]) for line in rows) for column in range(len(header))]
    padded = (
        "  ".join(
            cell.ljust(width) if column < labels else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        )
        for line in rows
    )
    return "\n".join(line.rstrip() for line in padded)


def _blanked(lines: Sequence[Sequence[str]], labels: int) -> Iterator[list[str]]:
    """Lines without labels that are equal to those above."""
    for above, line in zip([None, *lines], lines):
        blank = 0
        while above is not None and blank < labels - 1 and line[blank] == above[blank]:
            blank += 1
        yield [""] * blank + list(line[blank:])


def html_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table as HTML, every cell escaped.

    >>> print(html_table(["method"], [["a<b"]]))
    <table>
    <thead><tr><th>method</th></tr></thead>
    <tbody><tr><td>a&lt;b</td></tr></tbody>
    </table>
    """
    body = "".join(_html_row("td", line) for line in lines)
    return f"<table>\n<thead>{_html_row('th', header)}</thead>\n<tbody>{body}</tbody>\n</table>"


def _html_row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def with_interval(
    values: ArrayLike,
    digits: int = 1,
    *,
    ends: ArrayLike | None = None,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> str:
    """The mean over seeds and its 95% interval, as text; the number alone for one seed without `ends`.

    Args:
        values: (S,) a seed's number.
        ends: (S, 2) its interval over rows; the interval then covers rows as well as seeds.
        bounds: ends of the metric, which no interval passes.
    """
    runs = np.asarray(values, dtype=float)
    if ends is None and len(runs) < 2:
        return f"{runs[0]:.{digits}f}"
    if ends is None:
        mean, low, high = seeds_interval(runs)
    else:
        lows, highs = np.asarray(ends, dtype=float).T
        mean, low, high = over_seeds(runs, lows, highs) if len(runs) > 1 else (runs[0], lows[0], highs[0])
    low, high = max(low, bounds[0]), min(high, bounds[1])
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
