"""Each speaker is the target once, and their test recordings are in no training."""

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bouba import CRNN
from bouba.bench import adaptation, speakers
from bouba.errors import DataError

SMALL = CRNN(rate=8000, seconds=0.2, mels=16, channels=2, width=4, augment=None)


@pytest.fixture
def folder(tmp_path):
    """A low or a high tone; three speakers of 8 recordings a digit, no two of one length."""
    who, label, index = (a.ravel() for a in np.meshgrid(["ann", "bob", "cy"], [0, 1], np.arange(8), indexing="ij"))
    lengths = 900 + 7 * np.arange(len(label))
    waves = [np.sin(np.arange(n) * (0.3 + 0.9 * y)) * 9000 for n, y in zip(lengths, label)]
    np.savez(
        tmp_path / "fsdd_8khz.npz",
        wave=np.concatenate(waves).astype(np.int16),
        offset=np.concatenate([[0], np.cumsum(lengths)]),
        label=label.astype(np.uint8),
        speaker=who,
        index=index.astype(np.uint8),
    )
    return tmp_path


def test_each_speaker_is_the_target_once(folder):
    with np.load(folder / "fsdd_8khz.npz") as held:
        speaker, label, index = (held[name] for name in ("speaker", "label", "index"))
    of_length = {900 + 7 * i: (speaker[i], str(label[i]), index[i] < 5) for i in range(len(label))}

    def told(views):
        return [of_length[len(cell[0])] for cell in views["sound"]]

    tasks = speakers.tasks(folder)
    assert [task.name for task in tasks] == ["ann", "bob", "cy"]
    for task in tasks:
        is_target = task.training.domain == task.target
        assert {(who, test) for who, _, test in told(task.training[is_target])} == {(task.name, False)}
        others = {"ann", "bob", "cy"} - {task.name}
        assert {(who, test) for who, _, test in told(task.training[~is_target])} == {(who, False) for who in others}
        assert {(who, test) for who, _, test in told(task.target_test)} == {(task.name, True)}
        assert {(who, test) for who, _, test in told(task.source_test)} == {(who, True) for who in others}
        assert set(task.training.y["digit"][is_target]) == {None}
        for views in (task.training[~is_target], task.target_test, *task.on_target(0)):
            assert [digit for _, digit, _ in told(views)] == list(views.y["digit"])


def test_the_command_end_to_end(folder, monkeypatch):
    masked = CRNN(rate=8000, seconds=0.2, mels=16, channels=2, width=4)
    methods = adaptation.compared_methods(SMALL, {"masked": masked}, ())
    assert list(speakers.METHODS) == ["source only", "masked", "masked + mix"]
    monkeypatch.setattr(speakers, "METHODS", {name: methods[name] for name in speakers.METHODS})
    app = typer.Typer()
    app.command()(speakers.command)
    ran = CliRunner().invoke(app, ["--data", str(folder), "--seeds", "1", "--epochs", "1"])
    assert ran.exit_code == 0, ran.output
    lines = ran.stdout.splitlines()
    assert lines[0].split()[-3:] == ["ann", "bob", "cy"]
    assert [line.split("  ")[0] for line in lines[1:5]] == [*speakers.METHODS, "taken for each by information"]
    assert lines[8].startswith("mean of 3 tasks, chosen by")


def test_refusals(tmp_path):
    with pytest.raises(DataError, match=r"fsdd_8khz.npz does not hold what this bench reads"):
        speakers.tasks(tmp_path)
