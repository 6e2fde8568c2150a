"""bouba encoders: the trained encoders that pip installs, and which of them are here."""

from __future__ import annotations

import json

import typer

from bouba.cli.options import Json
from bouba.cli.printing import text_columns
from bouba.towers.packages import PACKAGES


def command(as_json: Json = False) -> None:
    """What --towers takes: encoders that know words or pictures from the start."""
    if as_json:
        rows = [{**vars(package), "installed": package.installed} for package in PACKAGES.values()]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = [["encoder", "reads", "installed", "MB", "licence", "what it is"]]
    for package in PACKAGES.values():
        state = "yes" if package.installed else package.command
        languages = f"; {package.languages}" if package.languages else ""
        what = f"{package.sentence}{languages}"
        table.append([package.name, package.kind, state, str(package.megabytes), package.licence, what])
    typer.echo(text_columns(table))
