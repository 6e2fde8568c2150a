"""Records and results: filters, files, seeds, tables, and what refuses."""

import json
import math
import re
import sys
from dataclasses import FrozenInstanceError, replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.errors import DataError, UsageError
from bouba.evaluation import Record, Result, environment, over_seeds, seeds_interval

BASE = Record("clip", "test", "noto", "text->image", "recall@10", 0.31, 0.29, 0.33, 0.01, 200)


def grid():
    return Result(
        [
            replace(BASE, method=method, metric=metric, seed=seed, value=value + seed / 100)
            for method, value in (("clip", 0.3), ("cca", 0.2))
            for metric in ("recall@10", "mrr")
            for seed in (0, 1, 2)
        ],
        {"seed": 0},
    )


def test_definition_of_where_is_a_loop():
    result = grid()
    expected = [r for r in result.records if r.method == "cca" and r.seed in (0, 2)]
    assert result.where(method="cca", seed=[0, 2]).records == expected
    assert result.where().records == result.records
    assert result.value(method="clip", metric="mrr", seed=1).value == pytest.approx(0.31)
    with pytest.raises(FrozenInstanceError):
        BASE.value = 1.0


def test_definition_of_mean_over_seeds():
    merged = grid().mean_over_seeds()
    assert len(merged) == 4
    record = merged.value(method="clip", metric="mrr")
    ends = [(r.low, r.high) for r in grid().where(method="clip", metric="mrr")]
    assert (record.value, record.low, record.high) == pytest.approx(over_seeds([0.3, 0.31, 0.32], *zip(*ends)))
    bare = Result([replace(r, low=None) for r in grid()])
    record = bare.mean_over_seeds().value(method="clip", metric="mrr")
    assert (record.value, record.low, record.high) == pytest.approx(seeds_interval([0.3, 0.31, 0.32]))
    record = grid().mean_over_seeds(share=0).value(method="clip", metric="mrr")
    assert (record.value, record.low, record.high) == pytest.approx(seeds_interval([0.3, 0.31, 0.32]))
    assert (record.seed, record.n, record.chance) == (None, 200, pytest.approx(0.01))
    assert Result([BASE]).mean_over_seeds().records == [BASE]


NUMBER = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.builds(Record, *[st.text()] * 5, NUMBER, *[st.none() | NUMBER] * 3, st.integers(0, 9)), max_size=5))
@settings(max_examples=30, deadline=None)
def test_law_json_gives_back_what_it_took(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("json") / "metrics.json"
    result = Result(records, {"seed": 3, "versions": {"numpy": "2"}})
    assert Result.from_json(result.to_json(path)) == result


def test_files_are_a_flat_list_and_a_meta_file_beside_it(tmp_path):
    odd = replace(BASE, value=np.float32("nan"), chance=None, n=np.int64(7))
    Result([odd], {"shape": np.arange(2)}).to_json(tmp_path / "run" / "metrics.json")
    (row,) = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (row["value"], row["chance"], row["n"], row["method"]) == (None, None, 7, "clip")
    assert json.loads((tmp_path / "run" / "metrics_meta.json").read_text()) == {"shape": [0, 1]}
    (tmp_path / "run" / "metrics_meta.json").unlink()
    again = Result.from_json(tmp_path / "run" / "metrics.json")
    assert math.isnan(again.records[0].value)
    assert again.meta == {}


def test_law_addition_keeps_every_record_and_every_meta():
    a, b, c = Result([BASE], {"seed": 1}), Result([BASE], {"seed": 2}), Result([], {"seed": 1})
    assert len(a + b + c) == 2
    assert (a + b + c).meta == (a + (b + c)).meta == {"parts": [{"seed": 1}, {"seed": 2}]}
    assert (a + c).meta == {"seed": 1}
    assert (Result([]) + b).meta == {"seed": 2}
    assert sum([a, b, c]) == a + b + c
    with pytest.raises(TypeError):
        1 + a


def test_recovery_a_reader_finds_each_number_in_the_table():
    text = grid().format()
    assert text.splitlines()[0] == "split=test  domain=noto  direction=text->image  n=200"
    header, *lines = text.splitlines()[3:]
    assert header.split() == ["method", "seed", "recall@10", "mrr"]
    cell = "[0.290, 0.330] (0.010)"
    assert [line.split() for line in lines[:2]] == [
        f"clip 0 0.300 {cell} 0.300 {cell}".split(),
        f"1 0.310 {cell} 0.310 {cell}".split(),
    ]
    assert len(lines) == 6
    wide = grid().where(metric="mrr").format(rows=("method",), columns="seed")
    assert len(wide.splitlines()) == 3 + 1 + 2
    assert "metric=mrr" in wide
    assert "-" in (grid() + Result([replace(BASE, method="one", seed=9)])).format().splitlines()[-1]
    assert Result([]).format() == "no records"
    assert "0.310 [0.290, 0.330] (0.010)" in Result([BASE]).format()


class Cells(HTMLParser):
    """The rows of the tables in a piece of HTML, and the text outside them."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.text, self.inside = [], "", False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.inside = tag in ("td", "th")
        if tag == "tr":
            self.rows.append([])
        if self.inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data
        else:
            self.text += data


def test_a_notebook_shows_the_same_table_escaped():
    result = grid()
    page = Cells(result._repr_html_())
    above, table = result.format().split("\n\n")
    assert [word for row in page.rows for cell in row for word in cell.split()][:4] == table.split()[:4]
    assert {cell for row in page.rows for cell in row} == {cell for line in table.splitlines() for cell in spaced(line)}
    assert "".join(page.text.split()) == "".join(above.split())
    assert len(page.rows) == len(table.splitlines())
    evil = Result([replace(BASE, method="<script>alert(1)</script>", split="a&b"), BASE])._repr_html_()
    assert "<script>" not in evil
    assert Cells(evil).rows[1][0] == "<script>alert(1)</script>"
    assert Cells(evil).rows[1][1] == "a&b"
    assert "no records" in Result([])._repr_html_()


def spaced(line):
    """The cells of a line, which stand two blanks or more apart."""
    return re.split(r" {2,}", line.strip())


def test_environment_reads_versions_without_importing():
    before = set(sys.modules)
    env = environment(3, "sha256:ab")
    assert (env["seed"], env["data"]) == (3, "sha256:ab")
    assert env["versions"]["numpy"] == np.__version__
    assert {"python", "platform", "date", "versions"} <= env.keys()
    assert not {name for name in set(sys.modules) - before if name.split(".")[0] == "torch"}
    json.dumps(env)


def test_refusals_name_what_there_is(tmp_path):
    result = grid()
    with pytest.raises(UsageError, match="no record has method='clop'; there is method: 'clip', 'cca'"):
        result.value(method="clop")
    with pytest.raises(UsageError, match="3 records have method='cca', metric='mrr'; add one of seed: 0, 1, 2"):
        result.value(method="cca", metric="mrr")
    with pytest.raises(UsageError, match="2 records have no filter; they are twins"):
        Result([BASE, BASE]).value()
    with pytest.raises(UsageError, match="no field 'methd'; did you mean 'method'"):
        result.where(methd="cca")
    with pytest.raises(UsageError, match="'metod' is no label of a record; did you mean 'method'"):
        result.format(rows=("metod",))
    with pytest.raises(UsageError, match="several records of seed 1"):
        (result + result.where(seed=1)).mean_over_seeds()
    (tmp_path / "x.json").write_text('[{"nom": 1}]')
    with pytest.raises(DataError, match=r"x\.json is no list of records"):
        Result.from_json(tmp_path / "x.json")


def test_what_is_evaluated_tells_its_data():
    import bouba
    from bouba.evaluation.fingerprint import fingerprint

    random = np.random.default_rng(0)
    views = bouba.Views({"x": random.normal(size=(40, 3)), "y": random.normal(size=(40, 3))})
    result = bouba.evaluate(bouba.CCA(2).fit(views[:20]), views[20:])
    assert result.meta["data"] == fingerprint(views[20:])
