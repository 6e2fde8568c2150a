"""The bench measures what it says, in small."""

import os

from bouba.bench import cache as bench


def test_cached_epochs_cost_less_and_the_command_writes_it(tmp_path, monkeypatch, kept_by):
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path / "mine"))
    figures = kept_by(bench, "--rows", 512, "--hidden", 128, "--layers", 4, "--epochs", 3).measured
    spared = figures["first_epoch_cpu_s"] - figures["warm_first_epoch_cpu_s"]
    assert spared > 0.5 * figures["encoding_epoch_cpu_s"], "an earlier run's features are read, not made again"
    assert figures["ratio"] > 2
    assert bench.tables(figures)["epochs"].note.startswith(
        f"{figures['ratio']:,.0f} times less CPU an epoch. 512 texts"
    )
    assert os.environ["BOUBA_CACHE"] == str(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
