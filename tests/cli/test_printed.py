"""What commands print is what is there."""

import re

import numpy as np
import pytest
from test_commands import bouba

pytest.importorskip("lancedb")
pytest.importorskip("plotly")


def test_search_prints_a_zero_as_a_zero(tmp_path, capsys):
    table = tmp_path / "t.csv"
    words = ["red circle", "blue square", "green star", "pink moon"]
    rows = [f"{words[i % 4]} {i},{n:.3f},0" for i, n in enumerate(np.random.default_rng(0).normal(size=30))]
    table.write_text("\n".join(["words,number,count", *rows]) + "\n")
    options = ["--text", "words", "--vector", "number", "--epochs", 1, "--dim", 4]
    assert bouba("fit", table, "-o", tmp_path / "run", *options) == 0
    capsys.readouterr()
    assert bouba("search", tmp_path / "run", "red circle", "-k", 1) == 0
    header, hit = (re.split("  +", line) for line in capsys.readouterr().out.splitlines())
    assert hit[header.index("count")] == "0"
