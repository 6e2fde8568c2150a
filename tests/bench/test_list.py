"""`bouba bench --help` lists the files that are benches, and imports none."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
import typer

import bouba.bench
from bouba.cli.bench import descriptions
from bouba.evaluation.table import Table


def test_definition_a_bench_is_a_file_with_a_command():
    names = {file.stem for file in Path(bouba.bench.__file__).parent.glob("[!_]*.py")}
    commands = {name for name in names if hasattr(importlib.import_module(f"bouba.bench.{name}"), "command")}
    assert {name.replace("-", "_") for name in descriptions()} == commands
    assert not commands & {"adaptation", "emoji_protocol", "emoji_styles", "fresh"}


MEASURE_NOTHING = {"all", "compare"}


@pytest.mark.parametrize("name", sorted(descriptions().keys() - MEASURE_NOTHING))
def test_every_bench_keeps_what_it_measured_and_makes_tables_of_it(name):
    bench = importlib.import_module(f"bouba.bench.{name.replace('-', '_')}")
    app = typer.Typer()
    app.command()(bench.command)
    [out] = [option for option in typer.main.get_command(app).params if option.name == "out"]
    assert sorted(out.opts) == ["--out", "-o"]
    assert get_type_hints(bench.tables)["return"] == dict[str, Table]
    assert len(inspect.signature(bench.tables).parameters) == 1, "tables are made of what was measured alone"


def test_every_bench_says_what_it_measures():
    for name, text in descriptions().items():
        assert text[0].isupper(), name
        assert text.endswith((".", "?")), name
        assert "bouba bench" not in text, f"the docstring of {name} begins with `bouba bench {name}: `"


def test_listing_imports_no_bench():
    code = "import sys; from bouba.cli.bench import group; group(); print({'torch', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
