"""`bouba bench --help` lists the files that are benches, and imports none."""

import importlib
import subprocess
import sys
from pathlib import Path

import bouba.bench
from bouba.cli.bench import descriptions


def test_definition_a_bench_is_a_file_with_a_command():
    names = {file.stem for file in Path(bouba.bench.__file__).parent.glob("[!_]*.py")}
    commands = {name for name in names if hasattr(importlib.import_module(f"bouba.bench.{name}"), "command")}
    assert {name.replace("-", "_") for name in descriptions()} == commands
    assert not commands & {"adaptation", "emoji_protocol", "emoji_styles", "fresh"}


def test_every_bench_says_what_it_measures():
    for name, text in descriptions().items():
        assert text[0].isupper(), name
        assert text.endswith((".", "?")), name
        assert "bouba bench" not in text, f"the docstring of {name} begins with `bouba bench {name}: `"


def test_listing_imports_no_bench():
    code = "import sys; from bouba.cli.bench import group; group(); print({'torch', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
