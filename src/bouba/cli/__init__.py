"""The command line: one file a command. `bouba --help` imports nothing heavy."""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

COMMANDS = {  # command -> its line in `bouba --help`; each lives in the file of its name
    "demo": "Train on 6,376 emoji drawings, search them by words, measure it, write a report.",
    "inspect": "What a table holds, as bouba understands it: kinds, labels, domains, missing and bad cells.",
    "duplicates": "Rows of a table that show the same, in groups, with pictures.",
    "suspicious": "Pairs and labels of a table that may be wrong, with pictures.",
    "mine": "A table with a column of hard negatives: what a run takes for a row's partner, and is not.",
    "methods": "The methods that fit takes: what each needs, and when to use it.",
    "encoders": "Encoders that know words or pictures from the start: what fit --towers takes.",
    "fit": "Train a model on a table and write a run folder.",
    "tune": "Search for the method and settings that suit a table, and fit the best, in minutes.",
    "adapt": "Adapt a run to rows of another place, without labels and without the rows it was made of.",
    "soup": "One model of the averaged weights of several runs, chosen on rows that none was trained on.",
    "predict": "Predict labels for the rows of a table, from whichever views each row has.",
    "embed": "Put the rows of a table into the index of a run, or write their vectors to a file.",
    "index": "What the index of a run holds, its versions, and going back to one.",
    "explain": "What each view of a row contributed to what is predicted.",
    "translate": "Make pictures or numbers for the rows of a table, from another view of each.",
    "evaluate": "Judge a model on held-out rows: retrieval and accuracy, with intervals and chance.",
    "report": "Make the report of a run again.",
    "compare": "Two runs side by side, on the same rows.",
    "search": "Find the rows that fit a sentence or a picture.",
    "export": "Give a run to other programs: vectors in Parquet or numpy, towers in ONNX, embedding-atlas.",
    "serve": "Search and try runs in a browser, or by an API.",
    "card": "A model card in the hub's format.",
    "push": "Put a run on the Hugging Face hub, to be opened as hf://USER/NAME.",
    "migrate": "Give a run another encoder without encoding its rows again.",
    "bench": "Repeat a published measurement.",
    "licenses": "The licences of what bouba stands on, as it is installed.",
}


ALONE = ("demo", "bench", "tune")  # commands that several processes at once would run several times
SHARED = ("fit", "embed")  # commands of which each process does a part


def main() -> None:
    """Run a command; see `bouba.cli.ending` for how it ends."""
    from bouba.cli.ending import errors_as_lines, signals_as_errors
    from bouba.cli.printing import Terminal

    terminal = contextlib.redirect_stdout(Terminal(sys.stdout))  # type: ignore[type-var]
    with errors_as_lines(), signals_as_errors(), _warnings_on_stderr(), terminal:
        chosen = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
        if _is_left_to_the_first(chosen):
            return
        _app(chosen)()


def _app(chosen: str | None) -> typer.Typer:
    """All commands; only the one that was chosen is imported."""
    import typer  # here, so that an interruption while it is imported is a line too

    from bouba.cli.ending import ends_in_a_line
    from bouba.cli.naming import options_of
    from bouba.cli.version import options

    app = typer.Typer(
        name="bouba",
        help="Learn how modalities correspond: pictures, words, numbers.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(options)
    for name, summary in COMMANDS.items():
        if name == "bench" == chosen:
            app.add_typer(importlib.import_module("bouba.cli.bench").group(), name=name, help=summary)
        elif name == chosen:
            app.command(name, help=summary)(
                ends_in_a_line(importlib.import_module(f"bouba.cli.{name}").command, lambda: options_of(app, chosen))
            )
        else:
            app.command(name, help=summary)(_not_imported)
    return app


def _is_left_to_the_first(chosen: str | None) -> bool:
    """Whether this is one of several processes, under torchrun, and the first does all the work of the command.

    Raises:
        UsageError: a command that no several processes can run.
    """
    from bouba.errors import UsageError
    from bouba.runs.processes import process_count, process_number

    if process_count() > 1 and process_number() == 0 and chosen in ALONE:
        raise UsageError(f"bouba {chosen} runs in one process; leave torchrun out")
    return process_number() > 0 and chosen not in SHARED


@contextmanager
def _warnings_on_stderr() -> Iterator[None]:
    """What the library warns of, as plain lines."""
    from bouba.cli.printing import Lines

    log, handler = logging.getLogger("bouba"), logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(Lines())
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _not_imported() -> None:
    """Stands for a command that was not chosen."""
