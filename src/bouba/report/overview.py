"""The numbers that matter, as a table that a terminal of 100 columns shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from bouba.data.characters import one_line, printable
from bouba.evaluation.table import text_table
from bouba.report.scores import Row, Score, read_rows
from bouba.report.wording import number, percent, recall_at

WIDTH = 100  # columns of a terminal
RETRIEVAL = ("recall@10", "mrr")
MADE = ("r_precision@10", "frechet_distance", "variance_explained")
PREDICTED = ("_accuracy", "_zero_shot", "_r2", "_mae")
WHOLE = "all"  # direction of what is predicted from whichever views a row has; domain of all rows together
DOMAINS = 3
MANY = 6  # directions above which recall@10 stands alone
SCORES = ("mrr", "variance_explained", "_r2")  # endings of what is within [0, 1] and is no share of rows


def overview(
    records: Sequence[Mapping[str, Any]], model: str = "", *, target: str | None = None, rest: str = ""
) -> str:
    """The numbers that matter, methods side by side, with 95% intervals and chance: recall@10 and MRR of each
    direction, what is predicted from all views, what is made.

    Args:
        records: of a Result, as mappings. model: the method that stands first, before its best rivals; as many of these
            are shown as fit WIDTH. target: the domain that is shown in any case. rest: where all numbers are.

    Returns:
        Lines of at most WIDTH columns where one method's numbers fit; below them what was left out.
    """
    rows = read_rows(records)
    shown = _main(rows, target)
    if not shown:
        return "no numbers"
    names = _methods(shown, model)
    for count in range(len(names), 0, -1):
        text = _table(shown, names[:count])
        if max(map(len, text.splitlines())) <= WIDTH:
            break
    notes = ["value [95% interval]; chance is what blind choice gives"]
    if count < len(names):
        notes.append(f"not shown: {', '.join(names[count:])}")
    if domains := [name for name in dict.fromkeys(r.domain for r in rows) if name not in _domains(rows, target)]:
        notes.append(f"not shown: the domains {', '.join(domains)}")
    if rest:
        notes.append(f"all numbers: {rest}")
    return f"{text}\n\n{fill('; '.join(notes), WIDTH)}"


def _main(rows: Sequence[Row], target: str | None) -> list[Row]:
    """The rows that are shown; all where none of them is well known."""
    domains = _domains(rows, target)
    rows = [row for row in rows if row.domain in domains]
    many = len({row.direction for row in rows if row.metric == RETRIEVAL[0]}) > MANY
    retrieval = RETRIEVAL[:1] if many else RETRIEVAL
    return [row for row in rows if row.metric in (*retrieval, *MADE) or _is_predicted(row)] or list(rows)


def _domains(rows: Sequence[Row], target: str | None) -> list[str]:
    """The domains that are shown: all together, else the DOMAINS largest; and the target."""
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row.domain] = max(sizes.get(row.domain, 0), row.n or 0)
    largest = [WHOLE] if WHOLE in sizes else sorted(sizes, key=lambda name: -sizes[name])[:DOMAINS]
    return [name for name in sizes if name in largest or name == target]


def _is_predicted(row: Row) -> bool:
    """Whether it is an accuracy or an error on the whole of what a row has, or of one view by itself."""
    apart = row.direction.startswith(("only ", "without "))
    return row.metric.endswith(PREDICTED) and not apart


def _methods(rows: Sequence[Row], model: str) -> list[str]:
    """The model, then its rivals, the best in the first row first."""
    ranked = [score.method for row in rows for score in row.ranked]
    return sorted(dict.fromkeys(ranked), key=lambda name: name != model)


def _table(rows: Sequence[Row], names: Sequence[str]) -> str:
    splits = len({row.split for row in rows}) > 1
    domains = len({row.domain for row in rows}) > 1
    header = ["split"] * splits + ["domain"] * domains + ["direction", "measure", *names, "chance"]
    lines = [
        [
            *[row.split] * splits,
            *[row.domain] * domains,
            row.direction.replace("->", " -> "),
            _measure(row),
            *(_cell(row, row.scores.get(name)) for name in names),
            _show(row, row.chance) or "-",
        ]
        for row in rows
    ]
    labels = 2 + splits + domains
    return text_table(header, [[printable(one_line(cell)) for cell in line] for line in lines], labels=labels)


def _measure(row: Row) -> str:
    """'recall@10 of 686' where it is known how many there were to choose from."""
    return row.metric if row.n is None or recall_at(row.metric) is None else f"{row.metric} of {row.n:,}"


def _cell(row: Row, score: Score | None) -> str:
    if score is None:
        return "-"
    value = _show(row, score.value)
    if score.low is None or score.high is None:
        return value
    low, high = (f"{100 * end:.0f}" if _is_share(row) else _show(row, end) for end in (score.low, score.high))
    return f"{value} [{low}, {high}]"


def _show(row: Row, value: float | None) -> str:
    if value is None:
        return ""
    if _is_share(row):
        return percent(value, 0 if value >= 0.1 else 1)
    return f"{value:.2f}" if row.fraction else number(float(f"{value:.4g}"))


def _is_share(row: Row) -> bool:
    """Whether it is read as a percentage."""
    return row.fraction and not row.metric.endswith(SCORES)
