"""The bench measures what it says, in small."""

import json

import pytest
import typer
from made import twin_vectors
from typer.testing import CliRunner

from bouba.bench import wrong_pairs as bench
from bouba.errors import UsageError


def test_command_measures_both_losses(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "frozen_emoji", lambda: twin_vectors(n=150, d=6))
    monkeypatch.setitem(bench.TRAINING, "epochs", 3)
    app = typer.Typer()
    app.command()(bench.command)
    options = ["--share", "0.4", "--seeds", "2", "--out", str(tmp_path / "figures.json")]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    assert "40% wrong" in result.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    recall, found = figures["recall@10"], figures["found"]
    assert found.keys() == {"0.4"}
    assert min(found["0.4"]) > 0.5
    assert recall.keys() == {"InfoNCE", "RobustInfoNCE"}
    assert all(len(by_seed) == 2 for of in recall.values() for by_seed in of.values())
    assert recall["InfoNCE"]["0"] > recall["InfoNCE"]["0.4"]


def test_refusal_of_more_than_everything():
    with pytest.raises(UsageError, match="a share of wrong pairs lies between 0 and 1, got 0, 2"):
        bench.command(share=[2.0])
