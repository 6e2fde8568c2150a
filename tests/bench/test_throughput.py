"""The bench measures what it says, in small."""

import torch
from PIL import Image

from bouba import read
from bouba.bench import throughput as bench


def test_towers_and_heads_beside_a_bare_loop(kept_by):
    figures = kept_by(bench, "--device", "cpu", "--rows", 40, "--epochs", 2, "--batch", 20, "--pictures", 0).measured
    assert figures["device"] == "cpu"
    for name in ("ConvNet and NGrams", "heads on features"):
        assert [len(figures[name][way]) for way in ("fit", "bare")] == [2, 2]
    [scratch, _] = bench.tables(figures)["towers"].lines
    assert scratch[:3] == ["ConvNet and NGrams", "40", "20"]


def test_the_bare_loop_trains_what_the_learner_does():
    """It starts where a fit does and learns: a loop that did less would be no yardstick."""
    views, towers = bench._small(40)["heads on features"]
    model = bench.Learner(towers, bench.InfoNCE(), epochs=1, batch_size=20).fit(views)
    epoch = bench.bare_loop(model, views, torch.device("cpu"), 20)
    network = next(cell.cell_contents for cell in epoch.__closure__ if isinstance(cell.cell_contents, torch.nn.Module))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    epoch()
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {name for name, p in network.named_parameters() if p.requires_grad} <= moved


def test_pictures_are_files_of_their_own(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "DISTINCT", 3)
    table = bench.write_pictures(tmp_path / "files", 8)
    contents = {file.read_bytes() for file in table.parent.glob("*.jpg")}
    assert len(contents) == 8
    assert Image.open(table.parent / "000007.jpg").size == (640, 480)
    assert read(table).shape == (8, 2)
    figures = {
        "pictures": 8,
        "one": {"seconds": [4.0], "cpu_seconds": [4.0]},
        "two": {"seconds": [2.0], "cpu_seconds": [4.2]},
    }
    shown = bench.tables({"device": "cpu", "cores": 2, "threads": 1, "files": figures})["files"]
    assert shown.lines == [["one core", "2", "4.0"], ["two cores", "4", "4.2"]]
    assert "2.00 times one's rate" in shown.note
