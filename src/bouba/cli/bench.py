"""bouba bench: measurements anyone can repeat. Each is the file of its name in bouba/bench that defines `command`."""

from __future__ import annotations

import ast
import importlib
import sys
from importlib import resources

import typer

from bouba.cli.ending import ends_in_a_line


def descriptions() -> dict[str, str]:
    """Bench -> the first line of its file, without its name; the files are read, not imported."""
    by_name = {}
    for file in sorted(resources.files("bouba.bench").iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".py"):
            continue
        source = file.read_text(encoding="utf-8")
        if "\ndef command(" in source:
            name = file.name.removesuffix(".py").replace("_", "-")
            first_line = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
            text = first_line.removeprefix(f"bouba bench {name}: ")
            by_name[name] = text[:1].upper() + text[1:]
    return by_name


def group() -> typer.Typer:
    """All benches as one command; only the one that is run is imported."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)
    selected = next((a for a in sys.argv[2:] if not a.startswith("-")), None)
    for name, text in descriptions().items():
        command = _not_imported
        if name == selected:
            command = ends_in_a_line(importlib.import_module(f"bouba.bench.{name.replace('-', '_')}").command)
        app.command(name, help=text)(command)
    return app


def _not_imported() -> None:
    """Stands for a bench that is not run."""
