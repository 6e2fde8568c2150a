"""The bench measures what it says, in small."""

import json

from typer.testing import CliRunner

from bouba.bench import info_nce as bench
from bouba.bench.fresh import peak_mb
from bouba.cli.bench import group


def test_memory_of_a_fresh_process_grows_with_what_it_holds():
    size = {"dim": 64, "threads": 1}
    small = peak_mb("bouba.bench.info_nce:hold", variant=None, batch=64, **size)
    naive = peak_mb("bouba.bench.info_nce:hold", variant="naive", batch=3000, **size)
    assert naive - small > 3 * 4 * 3000**2 / 2**20  # logits, their softmax and gradient: three matrices or more


def test_command_writes_every_variant(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["bouba", "bench", "info-nce"])
    arguments = ["info-nce", "--batch", "64", "--dim", "8", "--repeats", "1", "--out", str(tmp_path / "found.json")]
    result = CliRunner().invoke(group(), arguments)
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "found.json").read_text())
    assert set(figures["variants"]) == set(bench.VARIANTS)
    assert figures["variants"]["naive"]["ratio_to_naive"] == 1
    assert figures["variants"]["naive"]["solved_cpu_s"] is None
