"""The bench measures what it says, in small."""

import numpy as np
import pytest
from made import twin_vectors

from bouba.bench import wrong_pairs as bench
from bouba.bench.paired import runs_of
from bouba.errors import UsageError


def test_command_measures_both_losses(kept_by, monkeypatch):
    monkeypatch.setattr(bench, "frozen_emoji", lambda: twin_vectors(n=150, d=6))
    monkeypatch.setitem(bench.TRAINING, "epochs", 3)
    result = kept_by(bench, "--share", 0.4, "--seeds", 2).measured
    recall, found = result.where(metric=bench.RECALL), result.where(metric=bench.FOUND)
    assert {record.split for record in found} == {"0.4 wrong"}
    assert min(record.value for record in found) > 50
    assert {(r.method, r.split, r.seed) for r in recall} == {
        (name, split, seed) for name in bench.OBJECTIVES for split in ("0 wrong", "0.4 wrong") for seed in range(2)
    }
    clean, worst = (runs_of(recall, method="InfoNCE", split=split) for split in ("0 wrong", "0.4 wrong"))
    assert clean[0] > worst[0]
    table = bench.tables(result)["recall"]
    assert table.header == ["recall@10, percent", "0% wrong", "40% wrong", "kept at 40% wrong"]
    assert table.lines[0][3].startswith(f"{np.mean([100 * worst[seed] / clean[seed] for seed in range(2)]):.0f} [")


def test_refusal_of_more_than_everything():
    with pytest.raises(UsageError, match="a share of wrong pairs lies between 0 and 1, got 0, 2"):
        bench.command(share=[2.0])
