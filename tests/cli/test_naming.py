"""On the command line a message names options; in Python the same message names arguments."""

import ast
import importlib
import re
from pathlib import Path

import pytest
import typer
from test_commands import bouba

import bouba as library
from bouba import Run
from bouba.cli import COMMANDS
from bouba.cli.naming import in_options, options_of
from bouba.errors import UsageError

APP = typer.Typer()
for name in COMMANDS.keys() - {"bench"}:
    APP.command(name)(importlib.import_module(f"bouba.cli.{name}").command)
FIT = options_of(APP, "fit")


def messages():
    """Every literal text of an error that the library raises, a value in it as {}."""
    for file in sorted(Path(library.__file__).parent.rglob("*.py")):
        if file.parent.name in ("cli", "bench"):
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error") and node.args:
                parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in parts)


def test_every_argument_of_fit_has_its_option():
    assert FIT["random_state"] == "--seed"
    assert FIT["made"] == "--to"
    assert FIT["label"] == "--label"
    assert options_of(APP, "translate")["draws"] == "-n"
    assert options_of(APP, None) == {}


def test_no_message_names_an_argument_on_the_command_line():
    given = re.compile(rf"(?<![\w.-])({'|'.join(FIT)})=")
    changed = [message for message in messages() if given.search(message)]
    assert len(changed) > 10
    for message in changed:
        outside = re.sub(r"(?<!\w)'[^']*'|\w\([^()]*\)", "", in_options(message, FIT))
        assert not given.search(outside), message


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("no domain 'x'; name the column with domain=...", "no domain 'x'; name the column with --domain"),
        ("name its column with read(..., label=...), or give y", "name its column with --label, or give y"),
        ("(domain=...) and the target (fit(..., target=...))", "(--domain) and the target (--target)"),
        (
            "patience needs validation, for example validation=0.2",
            "--patience needs validation, for example --validation 0.2",
        ),
        ("epochs must be 1 or more and batch_size 2", "--epochs must be 1 or more and --batch-size 2"),
        ("CLIP: random_state=-1 lies outside 0 to 9", "CLIP: --seed -1 lies outside 0 to 9"),
        ("column 'dim=4' of the table's rows", "column 'dim=4' of the table's rows"),
        ("for example fusion=SumFusion(drop=0.3)", "for example --fusion SumFusion(drop=0.3)"),
        ("the domain of a text, its label", "the domain of a text, its label"),
    ],
)
def test_a_message_in_options(message, shown):
    assert in_options(message, FIT) == shown


def test_both_doors_name_what_they_have(things, tmp_path, capsys):
    assert bouba("fit", things, "-o", tmp_path / "out", "--dim", 0) == 2
    assert "bouba: --dim is a whole number from 1 to 100,000, got 0" in capsys.readouterr().err
    with pytest.raises(UsageError, match="dim is a whole number from 1 to 100,000, got 0"):
        Run.fit(things, out=tmp_path / "out", method="clip", dim=0)
