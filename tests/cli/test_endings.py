"""However a command ends, it ends in a line: signals, a reader that has enough, a machine that refuses."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from test_commands import bouba

from bouba import Run
from bouba.runs import fitting, preparing

pytest.importorskip("lancedb")
pytest.importorskip("plotly")

BY_HAND = [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "stopped by SIGTERM", 143)]
BY_HAND += [(signal.SIGHUP, "stopped by SIGHUP", 129)]
QUICK = ("--epochs", 2, "--dim", 4)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Two files of numbers, a view each."""
    folder = tmp_path_factory.mktemp("tables")
    latent = np.random.default_rng(0).normal(size=(120, 3))
    np.save(folder / "a.npy", latent)
    np.save(folder / "b.npy", latent[:, :2])
    return folder / "a.npy", folder / "b.npy"


def lines(capsys):
    """What stands on the error stream after `bouba: `, which must be one line."""
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return [line.removeprefix("bouba: ") for line in err.splitlines() if line.startswith("bouba: ")]


def sends(number):
    """What sends this process a signal."""
    return lambda *args, **named: os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "words", "code"), BY_HAND, ids=["Ctrl-C", "SIGTERM", "SIGHUP"])
def test_fit_says_how_to_go_on(number, words, code, tables, tmp_path, capsys, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(preparing, "read_table", sends(number))
        assert bouba("fit", *tables, "-o", out, *QUICK) == code
    assert lines(capsys) == [f"{words}; nothing was written, start it again"]
    assert not list(tmp_path.iterdir())
    with monkeypatch.context() as patched:
        patched.setattr(fitting, "write_report", sends(number))
        assert bouba("fit", *tables, "-o", out, *QUICK) == code
    assert lines(capsys) == [f"{words}; what was trained is kept, go on with: bouba fit --resume -o {out}"]
    for command in (["evaluate", out, *tables], ["predict", out, tables[0]], ["search", out, "red"]):
        assert bouba(*command) == 2
        assert lines(capsys) == [f"{out} was cut off before it was finished; go on with: bouba fit --resume -o {out}"]
    assert bouba("fit", "--resume", "-o", out) == 0
    assert "recall@10" in capsys.readouterr().out
    assert bouba("fit", "--resume", "-o", out) == 0
    assert f"{out} is finished, 2 epochs; --epochs 4 trains on" in capsys.readouterr().err
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


@pytest.mark.parametrize(("number", "words", "code"), BY_HAND, ids=["Ctrl-C", "SIGTERM", "SIGHUP"])
def test_other_commands_end_in_a_line_too(number, words, code, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Run, "open", sends(number))
    assert bouba("evaluate", tmp_path, "t.csv") == code
    assert lines(capsys) == [words]


def test_an_ignored_hang_up_stays_ignored(tmp_path, monkeypatch):
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr(Run, "open", sends(signal.SIGHUP))
        with pytest.raises(AttributeError):  # it went on with nothing
            bouba("evaluate", tmp_path, "t.csv")
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_reader_that_has_enough_hears_nothing(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "bouba", "methods"]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_file_where_the_run_should_be(tables, tmp_path, capsys):
    (tmp_path / "file").write_text("precious")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        assert bouba("fit", *tables, "-o", out, *QUICK) == 1
        (line,) = lines(capsys)
        assert "is a file" in line
        assert "choose another -o" in line
    assert bouba("fit", *tables, "-o", tmp_path / ("x" * 255), *QUICK) == 1
    assert "File name too long (choose a shorter -o)" in lines(capsys)[0]
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("file", "precious")]


def test_json_stays_clean(tables, tmp_path, capsys):
    assert bouba("fit", *tables, "-o", tmp_path / "run", *QUICK, "--json") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith('{"run"')
    assert printed.out.count("\n") == 1
    assert printed.err == ""


def test_a_kept_stream_gets_lines(tables, tmp_path, capsys):
    assert bouba("fit", *tables, "-o", tmp_path / "run", *QUICK) == 0
    err = capsys.readouterr().err
    assert "CLIP: epoch 2 of 2 loss" in err
    assert "\r" not in err
    assert "\x1b" not in err
