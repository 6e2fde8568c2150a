"""Messages stay short however many names there are, and however long."""

import time

import numpy as np
import pandas as pd
import pytest

import bouba
from bouba.errors import BoubaError, nearest


def test_some_of_many_names_are_listed():
    known = [f"column {i:05}" for i in range(20_000)]
    assert nearest("zzz", known).endswith("'column 00039' and 19,960 more")
    assert nearest("colunm 00077", known) == "; did you mean 'column 00077'?"
    assert nearest("zzz", ["b", "a"]) == "; there is 'a', 'b'"
    assert nearest("zzz", []) == "; there is none"


def test_long_names_are_cut():
    assert len(nearest("b", ["a" * 100_000])) < 200
    assert len(nearest("x" * 100_000, ["a" * 100_000])) < 200


def test_views_of_many_columns_print_in_a_line_and_in_time():
    frame = pd.DataFrame({f"col_{i}": ["one", "two"] for i in range(2_000)})
    views = bouba.read(frame, text=list(frame.columns))
    start = time.process_time()
    text = repr(views)
    assert time.process_time() - start < 0.5
    assert "col_39: text, and 1,960 more" in text
    with pytest.raises(BoubaError) as caught:
        bouba.read(frame, text="nope")
    assert len(str(caught.value)) < 2_000


def test_a_file_is_no_run(tmp_path):
    np.save(tmp_path / "x.npy", np.eye(2))
    with pytest.raises(BoubaError, match="is a file, and a model is a folder"):
        bouba.load(tmp_path / "x.npy")
