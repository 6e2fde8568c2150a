"""Contests with peers: two sides, one judge, nothing of the judge's seen. The peer here is a Python of its own."""

import ast
import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bouba.bench import peers
from bouba.bench.against.cca_zoo import correlation, planted
from bouba.bench.against.contest import HERE, ours_answered, shown, theirs_answered
from bouba.errors import BoubaError, UsageError

ALL = peers.names()


@pytest.mark.parametrize("name", ALL)
def test_a_peer_is_pinned_and_has_a_function_for_each_contest(name):
    peer = importlib.import_module(f"bouba.bench.against.{name}").PEER
    assert all("==" in package for package in peer.packages)
    tree = ast.parse((HERE / "theirs" / f"{name}.py").read_text(encoding="utf-8"))
    defined = {statement.name for statement in tree.body if isinstance(statement, ast.FunctionDef)}
    defined |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for contest in peer.contests:
        assert contest.function in defined
        assert contest.measure
        assert contest.settings
        assert contest.seeds >= 3


def test_both_sides_answer_the_same_arrays(tmp_path, monkeypatch):
    peer = importlib.import_module("bouba.bench.against.cca_zoo").PEER
    monkeypatch.setattr("bouba.bench.against.contest.HERE", tmp_path)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "run.py").write_text((HERE / "theirs" / "run.py").read_text())
    (tmp_path / "theirs" / "cca_zoo.py").write_text(
        "def cca(arrays):\n    return {'z_x': arrays['new_x'][:, :5], 'z_y': arrays['new_y'][:, :5]}\n"
    )
    measured = peers.measured("cca_zoo", peer, peer.contests[0], Path(sys.executable), 2, None)
    arrays = planted(0, None)
    raw = correlation(arrays, {"z_x": arrays["new_x"][:, :5], "z_y": arrays["new_y"][:, :5]})
    assert measured["theirs"]["score"][0] == pytest.approx(raw)
    assert min(measured["ours"]["score"]) > 3 > max(measured["theirs"]["score"])
    assert all(cost >= 0 for side in ("ours", "theirs") for cost in measured[side]["cpu_s"])
    text = peers.tables({"cca-zoo: CCA": measured})["peers"].markdown()
    assert "| cca-zoo | CCA | sum of 5 correlations, new rows |" in text
    assert "cca-zoo==4.0.1, its defaults" in text


def test_what_the_judge_sees_is_kept_from_both():
    assert set(shown({"x": np.ones(1), "judge_y": np.ones(1)})) == {"x"}


def test_what_fails_says_how(tmp_path):
    given, answers = tmp_path / "given.npz", tmp_path / "answers.npz"
    np.savez(given, x=np.ones(3))
    peer = importlib.import_module("bouba.bench.against.cca_zoo").PEER
    with pytest.raises(BoubaError, match="KeyError: 'y'"):
        ours_answered("cca_zoo", "CCA", given, answers)
    with pytest.raises(BoubaError, match="No module named 'cca_zoo'"):
        theirs_answered(Path(sys.executable), "cca_zoo", peer.contests[0], given, answers)


def test_a_misspelt_peer_is_refused():
    with pytest.raises(UsageError, match="no peer 'cca_zo'; did you mean 'cca_zoo'"):
        peers.command(["cca-zo"], None, None, None, None)


def test_an_environment_is_made_once_and_anew_for_other_packages(tmp_path, monkeypatch):
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path))
    steps = []

    def run(words, **named):
        steps.append(words)
        if "venv" in words:
            Path(words[-1]).mkdir(parents=True)
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(peers.subprocess, "run", run)
    peer = peers.Peer("nobody", packages=("nothing==1",), contests=(), torch=True)
    assert peers.environment_of(peer) == peers.environment_of(peer)
    assert [words[-1].partition("==")[0] for words in steps[1:]] == ["torch", "nothing"]
    assert peers.environment_of(replace(peer, packages=("nothing==2",))) != peers.environment_of(peer)


def test_an_environment_that_cannot_be_made_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path))
    failed = subprocess.CompletedProcess([], 1, "", "no such package")
    monkeypatch.setattr(peers.subprocess, "run", lambda *words, **named: failed)
    with pytest.raises(BoubaError, match="no such package"):
        peers.environment_of(peers.Peer("nobody", packages=(), contests=()))
