"""bouba --version."""

from __future__ import annotations

from typing import Annotated

import typer


def _say_version(wanted: bool) -> None:
    if wanted:
        from bouba import __version__

        typer.echo(f"bouba {__version__}")
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="The version.")
    ] = False,
) -> None:
    """Learn how modalities correspond: pictures, words, numbers."""
