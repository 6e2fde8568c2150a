"""What every bench keeps: its command is run as the terminal runs it, and its tables come from its file."""

from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from bouba.bench.kept import Kept, print_tables


@pytest.fixture
def again(tmp_path):
    """Measured -> the same after a round trip through JSON."""

    def round_trip(measured):
        path = tmp_path / "again.json"
        Kept("bouba bench any", {}, 0.0, 0.0, measured).write(path)
        return Kept.read(path).measured

    return round_trip


@pytest.fixture
def kept_by(tmp_path, monkeypatch, capsys):
    """A bench and arguments -> what its command writes with --out. What it prints are the tables of that file."""

    def run(bench: ModuleType, *arguments) -> Kept:
        name = bench.__name__.rpartition(".")[2].replace("_", "-")
        words = [*map(str, arguments), "--out", str(tmp_path / f"{name}.json")]
        monkeypatch.setattr("sys.argv", ["bouba", "bench", name, *words])
        app = typer.Typer()
        app.command()(bench.command)
        printed = CliRunner().invoke(app, words, catch_exceptions=False).stdout
        kept = Kept.read(tmp_path / f"{name}.json")
        assert kept.bench == name
        assert kept.environment["data"]
        capsys.readouterr()
        print_tables(bench.tables(kept.measured))
        assert capsys.readouterr().out == printed
        return kept

    return run
