"""What predict writes: a spreadsheet runs none of it, and bouba reads back what was meant."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bouba
from bouba.data.formats.spreadsheet import BEGINS, as_csv, plain, safe

FORMULAS = ["=1+1", "+49 170", "-x", "@SUM(A1)", "\tx", "\rx", "'=x", "=cmd|' /C calc'!A0", "＝1"]
ORDINARY = ["a", "", "a=b", "-3.5", "+1e5", "'tis", "x-y", "'", 3, -2.5, None]


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_becomes_text(cell):
    assert safe(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ORDINARY)
def test_all_else_stays(cell):
    assert safe(cell) == cell


@given(text=st.text(alphabet=st.sampled_from("'=+-@\t\r\nax1.") | st.characters(exclude_categories=["Cs"])))
def test_law_plain_is_the_inverse_and_nothing_begins_as_a_formula(text):
    assert plain(safe(text)) == text
    assert safe(text)[:1] not in set(BEGINS.replace("\\", "")) or safe(text) == text.strip()


def test_predictions_are_read_back_as_they_were_meant(tmp_path):
    records = [{"row": i, "=label": cell, "views": "text"} for i, cell in enumerate(["=1+1", "tea", "-2", "'=x"])]
    (tmp_path / "p.csv").write_text(as_csv(records), encoding="utf-8", newline="")
    cells = list(csv.reader(io.StringIO(as_csv(records))))
    assert [row[1] for row in cells] == ["'=label", "'=1+1", "tea", "-2", "''=x"]
    views = bouba.read(tmp_path / "p.csv", text="=label")
    assert list(views["=label"]) == ["=1+1", "tea", "-2", "'=x"]
    assert list(csv.reader(io.StringIO(as_csv(records, raw=True))))[1][1] == "=1+1"


def test_another_table_keeps_its_apostrophes(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n'-ing forms,1\n'=x,2\n")
    assert list(bouba.read(tmp_path / "t.csv", text="a")["a"]) == ["'-ing forms", "'=x"]
