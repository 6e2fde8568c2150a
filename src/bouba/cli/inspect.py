"""bouba inspect: what a table holds."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any

import typer

from bouba.cli import reading
from bouba.cli.reading import repeated_text, table_lines
from bouba.data import decode
from bouba.data.views import Views, is_missing


def command(
    table: Annotated[list[str], typer.Argument(help="CSV, TSV, JSONL, Parquet, .npy arrays or a folder.")],
    image: reading.Image = None,
    text: reading.Text = None,
    audio: reading.Audio = None,
    video: reading.Video = None,
    vector: reading.Vector = None,
    mixed: reading.Mixed = None,
    label: reading.Label = None,
    domain: reading.Domain = None,
    key: reading.Key = None,
    ignore: reading.Ignore = None,
    strict: reading.Strict = False,
    as_json: reading.Json = False,
) -> None:
    """What a table holds, as bouba understands it."""
    said = {
        "image": image,
        "text": text,
        "audio": audio,
        "video": video,
        "vector": vector,
        "table": mixed,
        "label": label,
        "domain": domain,
        "key": key,
        "ignore": ignore,
    }
    views = reading.read_table(table, said, strict=strict)
    found = understood(views)
    typer.echo(json.dumps(found, ensure_ascii=False, indent=1) if as_json else _page(views, found))


def understood(views: Views) -> dict[str, Any]:
    """The same facts for programs."""
    counted = lambda values: dict(Counter(str(v) for v in values if not is_missing(v)).most_common(12))  # noqa: E731
    return {
        "rows": len(views),
        "views": {
            name: {
                "kind": c.kind,
                "present": int(c.present.sum()),
                "missing": int((~c.present).sum()),
                "example": _example(c),
            }
            for name, c in views.columns.items()
        },
        "labels": {
            name: {"classes": len({str(v) for v in values if not is_missing(v)}), "most": counted(values)}
            for name, values in views.y.items()
        },
        "domains": {} if views.domain is None else counted(views.domain),
        "keys": None if views.key is None else len({str(k) for k in views.key}),
        "other columns": list(views.meta),
        "bad_rows": views.bad_rows,
    }


def _example(column) -> str | None:
    row = next(iter(column.present.nonzero()[0]), None)
    if row is None:
        return None
    cell = column[int(row)]
    return f"{len(cell)} numbers" if column.kind == "vector" else decode.summary(column.kind, cell)[:60]


def _page(views: Views, found: dict[str, Any]) -> str:
    rows = [["column", "is", "there", "missing", "for example"]]
    for name, c in found["views"].items():
        rows.append([name, c["kind"], f"{c['present']:,}", f"{c['missing']:,}", c["example"] or ""])
    for name, label in found["labels"].items():
        few = ", ".join(list(label["most"])[:4])
        rows.append([name, "label", f"{label['classes']} classes", "", few])
    if views.domain is not None:
        rows.append(
            [
                "(domain)",
                "domain",
                f"{len(found['domains'])} domains",
                "",
                ", ".join(list(found["domains"])[:4]),
            ]
        )
    if views.key is not None:
        rows.append(["(key)", "key", f"{found['keys']:,} things", "", ""])
    lines = [f"{found['rows']:,} rows", "", table_lines(rows)]
    if found["other columns"]:
        lines += ["", f"kept for filters: {', '.join(found['other columns'])}"]
    bad = found["bad_rows"]
    if bad:
        lines += ["", f"{len(bad)} cells cannot be read:"]
        lines += [f"  row {b['row']}: {b['reason']}" for b in bad[:10]]
        lines += [f"  and {len(bad) - 10} more"] if len(bad) > 10 else []
    hint = repeated_text(views)
    lines += ["", hint] if hint else []
    lines += [
        "",
        "A guess is wrong? Say --text COLUMN, --image COLUMN, --video COLUMN, --table COLUMN, --label COLUMN, "
        "--domain COLUMN, --ignore COLUMN.",
    ]
    return "\n".join(lines)
