"""A file of questions: lines of text, or a column of a table."""

from __future__ import annotations

from pathlib import Path

from bouba.errors import DataError, UsageError

NAMES = ("question", "text")  # of the column
TABLES = (".csv", ".parquet")


def questions_of(file: Path) -> tuple[dict[int, str], int]:
    """Number -> question, and how many rows of a table hold none. They are numbered as they stand in the file, from 1.

    Raises:
        DataError: no question, or cells that are no text. UsageError: no such file, or one of another ending.
    """
    ending = file.suffix.lower()
    if ending not in (".txt", *TABLES):
        raise UsageError(f"--questions takes a .txt with a question a line, or {' or '.join(TABLES)}, got {file}")
    if not file.is_file():
        raise UsageError(f"no file {file}; --questions takes a .txt with a question a line, or {' or '.join(TABLES)}")
    given = _lines(file) if ending == ".txt" else _cells(file)
    questions = {number: text for number, text in given.items() if text}
    if not questions:
        raise DataError(f"{file} holds no question; write one a line, or a row")
    return questions, len(given) - len(questions)


def _lines(file: Path) -> dict[int, str]:
    from bouba.data.formats.utf8 import text_of

    lines = enumerate(map(str.strip, text_of(file).split("\n")), 1)
    return {number: line for number, line in lines if line}


def _cells(file: Path) -> dict[int, str]:
    """Of the column of questions."""
    from bouba.data.tables import open_table
    from bouba.data.views import is_missing

    table = open_table(file).named_as(NAMES)
    name = next((name for name in NAMES if name in table.columns), None)
    if name is None:
        raise DataError(f"{file} has no column {' or '.join(NAMES)}; it has {', '.join(table.columns)}")
    cells = [table.columns[name][place] for place in range(len(table.columns[name]))]
    strange = next((cell for cell in cells if not (isinstance(cell, str) or is_missing(cell))), None)
    if strange is not None:
        raise DataError(f"column {name!r} of {file} holds {type(strange).__name__}, such as {strange!r:.40}, no text")
    rows = range(len(cells)) if table.rows is None else table.rows.tolist()
    return {row + 1: "" if is_missing(cell) else cell.strip() for row, cell in zip(rows, cells, strict=True)}
