"""The command line: one file a command. `bouba --help` imports nothing heavy."""

from __future__ import annotations

import importlib
import sys

import typer

COMMANDS = {  # command -> what it says in `bouba --help`; each lives in the file of its name
    "demo": "Train on 6,376 emoji drawings, search them by words, measure it, write a report.",
    "inspect": "What a table holds, as bouba understands it: kinds, labels, domains, missing and bad cells.",
    "fit": "Train a model on a table and write a run folder.",
    "predict": "Predict labels for the rows of a table, from whichever views each row has.",
    "explain": "What each view of a row contributed to what is predicted.",
    "translate": "Make pictures or numbers for the rows of a table, from another view of each.",
    "evaluate": "Judge a model on held-out rows: retrieval and accuracy, with intervals and chance.",
    "search": "Find the rows that fit a sentence or a picture.",
    "bench": "Repeat a published measurement.",
}


def main() -> None:
    """Run a command. A user's mistake is one line and exit code 2."""
    from bouba.errors import BoubaError

    app = typer.Typer(
        name="bouba",
        help="Learn how modalities correspond: pictures, words, numbers.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    asked = next((a for a in sys.argv[1:] if not a.startswith("-")), None)
    for name, said in COMMANDS.items():
        if name == "bench" == asked:
            app.add_typer(importlib.import_module("bouba.cli.bench").group(), name=name, help=said)
        elif name == asked:  # only the command that is asked for is imported
            app.command(name, help=said)(importlib.import_module(f"bouba.cli.{name}").command)
        else:
            app.command(name, help=said)(_not_imported)
    try:
        app()
    except BoubaError as error:
        sys.stderr.write(f"bouba: {error}\n")
        sys.last_value = error  # for what runs at exit: this process died of an error
        sys.exit(2)


def _not_imported() -> None:
    """Stands for a command that was not asked for."""
