"""The bench measures what it says, in small."""

import json
import os

import typer
from typer.testing import CliRunner

from bouba.bench import cache as bench


def test_cached_epochs_cost_less_and_the_command_writes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path / "mine"))
    app = typer.Typer()
    app.command()(bench.command)
    said = ["--rows", "512", "--hidden", "128", "--layers", "4", "--epochs", "3", "--out", str(tmp_path / "found.json")]
    result = CliRunner().invoke(app, said)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    spared = found["first_epoch_cpu_s"] - found["warm_first_epoch_cpu_s"]
    assert spared > 0.5 * found["encoding_epoch_cpu_s"], "an earlier run's features are read, not made again"
    assert found["ratio"] > 2
    assert f"{found['ratio']:,.0f} times less CPU" in result.output
    assert os.environ["BOUBA_CACHE"] == str(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
