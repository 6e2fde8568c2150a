"""Tables as people have them, in four formats: no row is lost, keys stay as written."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np

from bouba import read
from bouba.errors import DataError
from scripts.reliability.experiment import Experiment

PIECES = [
    "plain",
    'a "quote"',
    '"',
    "'",
    "a, b",
    "a\tb",
    "two\nlines",
    "NA",
    "n/a",
    "1,5",
    "1.5",
    "007",
    "Ünï",
    "猫",
    " ",
]
PIECES += ["=1+1", "x" * 140_000, "null", "-", "[0.1, 0.2]", "9007199254740993", "3.0", "true", "\\N", "e\u0301"]


def trial(seed: int, folder: Path) -> str | None:
    random = np.random.default_rng(seed)
    count = int(random.integers(3, 30))
    first = int(random.integers(10**17, 9 * 10**18))
    keys = [str(first + number) if random.random() < 0.85 else "" for number in range(count)]
    captions = [f"caption {number} {PIECES[int(random.integers(len(PIECES)))]}" for number in range(count)]
    notes = [PIECES[int(random.integers(len(PIECES)))] for _ in range(count)]
    form = ("csv", "tsv", "jsonl", "parquet")[seed % 4]
    file = folder / f"table.{form}"
    _write(file, form, {"id": keys, "caption": captions, "note": notes}, random)
    try:
        views = read(file, text="caption", key="id", ignore="note")
    except DataError as error:
        return f"{form}: {' '.join(str(error).split())[:150]}"
    listed = {row.get("row") for row in views.bad_rows}
    if len(views) + len(listed) < count:
        return f"{form}: of {count} rows {len(views)} are read and {len(listed)} listed"
    given = {key for key in keys if key}
    strange = {str(key) for key in views.key if key is not None and str(key) not in {"", "None", "nan"}} - given
    if strange:
        return f"{form}: keys that nobody wrote: {sorted(strange)[:2]}"
    return None


def _write(file: Path, form: str, columns: dict[str, list[str]], random: np.random.Generator) -> None:
    rows = [dict(zip(columns, cells)) for cells in zip(*columns.values())]
    if form == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table(columns), file)
    elif form == "jsonl":
        blank = "\n" if random.random() < 0.3 else ""
        file.write_text("".join(json.dumps(row) + "\n" + blank for row in rows), encoding="utf-8")
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, delimiter="\t" if form == "tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
        mark = "\ufeff" if random.random() < 0.3 else ""
        ending = str(random.choice(["\r\n", "\n"]))
        file.write_text(mark + text.getvalue().replace("\r\n", ending), encoding="utf-8", newline="")


TABLES = Experiment(
    "tables",
    "CSV, TSV, JSONL or Parquet with quotes, separators, line ends, marks for missing, long cells, ids with gaps",
    "every row is read or listed; keys are as written",
    trial,
    trials=400,
    few=20,
    seconds=60,
    clock=30,
)
