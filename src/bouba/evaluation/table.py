"""Tables as plain text for the terminal, and as HTML for a notebook."""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from bouba.data.characters import one_line
from bouba.evaluation.seeds import seeds_interval


def text_table(header: Sequence[str], lines: Sequence[Sequence[str]], *, labels: int) -> str:
    """Columns padded to one width: the first `labels` to the left, the rest to the right.

    A label equal to the one above it is left blank while all labels before it are equal too.

    >>> print(text_table(["method", "r@1"], [["mine", "0.310"], ["yours", "0.2"]], labels=1))
    method    r@1
    mine    0.310
    yours     0.2
    """
    lines = [[one_line(cell) for cell in line] for line in lines]
    rows = [list(header)]
    for above, line in zip([None, *lines], lines):
        blank = 0
        while above is not None and blank < labels - 1 and line[blank] == above[blank]:
            blank += 1
        rows.append([""] * blank + list(line[blank:]))
    widths = [max(len(line[column]) for line in rows) for column in range(len(header))]
    padded = (
        "  ".join(
            cell.ljust(width) if column < labels else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        )
        for line in rows
    )
    return "\n".join(line.rstrip() for line in padded)


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


def with_interval(values: ArrayLike, digits: int = 1) -> str:
    """The mean over seeds and its 95% interval, as text; the number alone for one seed."""
    runs = np.asarray(values, dtype=float)
    if len(runs) < 2:
        return f"{runs[0]:.{digits}f}"
    mean, low, high = seeds_interval(runs)
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
