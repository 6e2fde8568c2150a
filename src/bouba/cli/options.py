"""Options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from bouba.data.kinds import FILES, KINDS
from bouba.data.tables import READERS
from bouba.device import running_on

Run = Annotated[Path, typer.Argument(help="A run folder or model folder.")]
TABLE = (
    f"A file ({', '.join(READERS)}) or a folder; or several files of numbers, one a view, called as its file: "
    "rows are paired by place, later files matched by name."
)
Table = Annotated[list[str], typer.Argument(help=TABLE)]
TableOrNone = Annotated[list[str] | None, typer.Argument(help=f"{TABLE} With --resume: that of the run.")]
Label = Annotated[list[str] | None, typer.Option("--label", help="Column of labels.")]
Domain = Annotated[str | None, typer.Option("--domain", help="Column that names where a row comes from.")]
Key = Annotated[
    str | None, typer.Option("--key", help="Column that says what a row shows; equal keys are the same thing.")
]
Group = Annotated[str | None, typer.Option("--group", help="Column of what must not be parted when rows are held out.")]
Ignore = Annotated[list[str] | None, typer.Option("--ignore", help="Column to leave out.")]
Strict = Annotated[bool, typer.Option("--strict", help="Decode every cell; stop at the first that cannot be read.")]
Device = Annotated[
    str, typer.Option("--device", help="Where to compute: auto (a GPU where there is one), cpu, cuda, cuda:1 or mps.")
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
Page = Annotated[Path | None, typer.Option(help="Show them with pictures in this HTML file.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write all to this file: .csv, .parquet or .jsonl.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file of that name.")]
Engine = Annotated[
    str, typer.Option(help="local: this machine, and torchrun's processes; ray: a cluster, or this machine as one.")
]
Workers = Annotated[int | None, typer.Option(help="Processes of Ray; one a GPU, else one a core, if not said.")]

Command = Callable[..., None]
Columns = dict[str, Any]
"""Which column is what, as keywords of `bouba.read`: see `names_columns`."""
Files = dict[str, Path | None]
"""Kind -> a file: see `names_files`."""
ROLES = {"label": Label, "domain": Domain, "key": Key, "group": Group, "ignore": Ignore, "strict": Strict}


def names_columns(command: Command) -> Command:
    """The command with an option for each kind and role of a column in place of its parameter `columns`."""
    kinds = {
        kind.name: Annotated[list[str] | None, typer.Option(f"--{kind.name}", help=kind.option)]
        for kind in KINDS.values()
    }
    return _expanded(command, "columns", kinds | ROLES)


def names_files(command: Command) -> Command:
    """The command with an option for a file of each kind that is stored in files in place of its parameter `files`."""
    helps = {kind: f"Look for what goes with this {KINDS[kind].noun}." for kind in FILES}
    options = {kind: Annotated[Path | None, typer.Option(f"--{kind}", help=help)] for kind, help in helps.items()}
    return _expanded(command, "files", options)


def names_files_to_avoid(command: Command) -> Command:
    """The command with --minus-image FILE and its like in place of its parameter `minus_files`."""
    options = {
        kind: Annotated[
            list[Path] | None,
            typer.Option(f"--minus-{kind}", help=f"A {KINDS[kind].noun} that hits should not fit; may be repeated."),
        ]
        for kind in FILES
    }
    return _expanded(command, "minus_files", options)


def takes_device(command: Command) -> Command:
    """The command with --device, on which it then computes."""

    @wraps(command)
    def on_device(*, device: str, **values: Any) -> None:
        with running_on(device):
            command(**values)

    signature = inspect.signature(command, eval_str=True)
    option = Parameter("device", Parameter.KEYWORD_ONLY, default="auto", annotation=Device)
    on_device.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]
    return on_device


def _expanded(command: Command, name: str, options: dict[str, Any]) -> Command:
    """The command with several options, None or False by default, in place of one parameter that takes them by name."""
    parameters = {
        option: Parameter(
            f"{name}_{option}", Parameter.KEYWORD_ONLY, default=False if hint is Strict else None, annotation=hint
        )
        for option, hint in options.items()
    }

    @wraps(command)
    def with_options(**values: Any) -> None:
        gathered = {option: values.pop(parameter.name) for option, parameter in parameters.items()}
        command(**values, **{name: gathered})

    signature = inspect.signature(command, eval_str=True)
    expanded = [
        new
        for parameter in signature.parameters.values()
        for new in (parameters.values() if parameter.name == name else [parameter])
    ]
    with_options.__signature__ = signature.replace(parameters=expanded)  # type: ignore[attr-defined]
    return with_options
