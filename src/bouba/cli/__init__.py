"""The command line: one file a command. `bouba --help` imports nothing heavy."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

COMMANDS = {  # command -> its line in `bouba --help`; each lives in the file of its name
    "demo": "Train on 6,376 emoji drawings, search them by words, measure it, write a report.",
    "inspect": "What a table holds, as bouba understands it: kinds, labels, domains, missing and bad cells.",
    "methods": "The methods that fit takes: what each needs, and when to use it.",
    "fit": "Train a model on a table and write a run folder.",
    "predict": "Predict labels for the rows of a table, from whichever views each row has.",
    "explain": "What each view of a row contributed to what is predicted.",
    "translate": "Make pictures or numbers for the rows of a table, from another view of each.",
    "evaluate": "Judge a model on held-out rows: retrieval and accuracy, with intervals and chance.",
    "search": "Find the rows that fit a sentence or a picture.",
    "bench": "Repeat a published measurement.",
    "licenses": "The licences of what bouba stands on, as it is installed.",
}


def _say_version(wanted: bool) -> None:
    """`bouba --version`."""
    if wanted:
        from bouba import __version__

        typer.echo(f"bouba {__version__}")
        raise typer.Exit


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
    app.callback()(_options)
    chosen = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        if name == "bench" == chosen:
            app.add_typer(importlib.import_module("bouba.cli.bench").group(), name=name, help=summary)
        elif name == chosen:  # only the command that was chosen is imported
            app.command(name, help=summary)(importlib.import_module(f"bouba.cli.{name}").command)
        else:
            app.command(name, help=summary)(_not_imported)
    with _warnings_on_stderr():
        try:
            app()
        except BoubaError as error:
            from bouba.cli.naming import in_options, options_of

            sys.stderr.write(f"bouba: {in_options(str(error), options_of(app, chosen))}\n")
            sys.last_value = error  # for what runs at exit: this process died of an error
            sys.exit(2)
        except OSError as error:
            sys.stderr.write(f"bouba: {error.strerror or error}{f': {error.filename}' if error.filename else ''}\n")
            sys.last_value = error
            sys.exit(1)


@contextmanager
def _warnings_on_stderr() -> Iterator[None]:
    """What the library warns of, as plain lines."""
    log, handler = logging.getLogger("bouba"), logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="The version.")
    ] = False,
) -> None:
    """Learn how modalities correspond: pictures, words, numbers."""


def _not_imported() -> None:
    """Stands for a command that was not chosen."""
