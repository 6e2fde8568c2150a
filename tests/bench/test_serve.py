"""The bench of the server on a tiny run."""

import sys

import numpy as np
import pytest

from bouba import CLIP, Run, Views
from bouba.bench.serve import SHARES, measure, tables


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_request_fails_and_all_are_counted(tmp_path):
    random = np.random.default_rng(0)
    words = [f"{a} {b}" for a in ("red", "green", "blue") for b in ("dog", "cat", "car", "tree")] * 3
    pictures = [np.full((8, 8, 3), 10 * i % 256, np.uint8) for i in range(len(words))]
    views = Views({"photo": pictures, "caption": words}, meta={"n": random.integers(0, 3, len(words)).tolist()})
    Run.fit(views, method=CLIP(epochs=1), out=tmp_path / "run", baseline=False)
    figures = measure(tmp_path / "run", 120, 3, tmp_path / "log.txt")
    assert figures["kinds"]["all"]["requests"] == 120
    assert figures["kinds"]["all"]["errors"] == 0, (tmp_path / "log.txt").read_text()
    assert figures["kinds"]["words"]["p50_ms"] <= figures["kinds"]["words"]["p95_ms"]
    assert set(tables(figures)) == {"requests"}
    assert len(tables(figures)["requests"].rows) == len(SHARES) + 1
