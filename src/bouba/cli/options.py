"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bouba.data.tables import READERS

Run = Annotated[Path, typer.Argument(help="A run folder or model folder.")]
Table = Annotated[list[str], typer.Argument(help=f"A file ({', '.join(READERS)}) or a folder.")]
Image = Annotated[list[str] | None, typer.Option(help="Column of pictures; repeat for several.")]
Text = Annotated[list[str] | None, typer.Option(help="Column of text.")]
Vector = Annotated[
    list[str] | None, typer.Option(help="Column of numbers; 'left_*' puts all columns of that form into one view.")
]
Audio = Annotated[list[str] | None, typer.Option(help="Column of sounds.")]
Video = Annotated[list[str] | None, typer.Option(help="Column of clips, animated pictures among them.")]
Mixed = Annotated[
    list[str] | None,
    typer.Option(
        "--table", help="Column of numbers or categories for one table view; gaps allowed, 'shop_*' as above."
    ),
]
Label = Annotated[list[str] | None, typer.Option(help="Column of labels.")]
Domain = Annotated[str | None, typer.Option(help="Column that names where a row comes from.")]
Key = Annotated[str | None, typer.Option(help="Column that says what a row shows; equal keys are the same thing.")]
Ignore = Annotated[list[str] | None, typer.Option(help="Column to leave out.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first cell that cannot be read.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]

READ = ("image", "text", "audio", "video", "vector", "label", "domain", "key", "ignore", "strict")


def columns(options: dict[str, Any]) -> dict[str, Any]:
    """Of a command's options those that say which column is what, as keywords of `bouba.read`."""
    return {name: options[name] for name in READ} | {"table": options["mixed"]}
