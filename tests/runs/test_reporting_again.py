"""The report of a finished run, made again: with its rows, with what is kept, or on other rows."""

import json
import re
import shutil
import sys
from html import unescape

import numpy as np
import pytest
from made import write_things

from bouba import Run, read
from bouba.adapt import Diagnosis
from bouba.adapt.diagnostics import Shift
from bouba.cli import main
from bouba.errors import UsageError
from bouba.runs.reporting_again import _diagnosis

pytest.importorskip("lancedb")
pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table and a run of it."""
    folder = tmp_path_factory.mktemp("again")
    table = write_things(folder)
    Run.fit(table, method="clip", out=folder / "run", holdout=0.4, epochs=1, dim=4, baseline=False)
    return table, folder / "run"


@pytest.fixture
def moved(made, tmp_path):
    """The run, whose table stands elsewhere by now: the table, and the run."""
    table, run = made
    shutil.copytree(run, tmp_path / "run")
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(facts | {"table": ["/nowhere/things.csv"]}))
    return table, Run.open(tmp_path / "run")


def sections(page):
    return re.findall(r'<section id="(\w+)">', page.read_text())


def numbers(page):
    return re.findall(r'<span class="value">.*?</span>', page.read_text())


def test_with_its_rows_it_is_the_report_of_before_and_says_what_is_old(made, tmp_path):
    run = Run.open(made[1])
    page = run.report(out=tmp_path / "again.html")
    first = run.report()
    assert sections(page) == [*sections(first), *["notes"] * ("notes" not in sections(first))]
    assert numbers(page) == numbers(first)
    assert all("<dt>rows with a near-duplicate</dt><dd>" in each.read_text() for each in (page, first))
    assert "This page was made again with the rows of the run: the numbers" in page.read_text()
    assert "This page was made" not in first.read_text()


def test_the_command_replaces_the_page_of_the_run(moved, monkeypatch, capsys):
    table, run = moved
    (run.path / "report.html").unlink()
    monkeypatch.setattr(sys, "argv", ["bouba", "report", str(run.path), str(table)])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert capsys.readouterr().out.strip() == f"report: {run.path / 'report.html'}"
    assert "found" in sections(run.report())


def test_a_page_that_shows_more_is_not_replaced_by_one_without_rows(moved):
    _, run = moved
    before = run.report().read_bytes()
    with pytest.raises(UsageError, match=r"cannot be read again \(.*nowhere.*name the table: bouba report .* -o FILE"):
        run.report(again=True)
    assert run.report().read_bytes() == before


def test_without_its_rows_what_is_kept_is_shown_and_the_rest_is_said_to_lack(moved, tmp_path):
    _, run = moved
    page = run.report(out=tmp_path / "kept.html")
    assert numbers(page) == numbers(run.report())
    assert {"scores", "training", "try"} <= set(sections(page))
    assert not {"found", "data"} & set(sections(page))
    assert "This page was made of what the run keeps, because the table" in page.read_text()


def test_rows_whose_cells_changed_are_not_taken_for_those_of_the_run(moved, tmp_path):
    table, run = moved
    changed = table.with_name("changed.csv")
    changed.write_text(table.read_text().replace("red", "reddish"))
    assert "This page was made again" not in run.report(changed, out=tmp_path / "on.html", again=True).read_text()
    assert "This page was made again" in run.report(table, out=tmp_path / "own.html", again=True).read_text()
    with pytest.raises(UsageError, match="out=FILE"):
        run.report(changed, again=True)


def test_how_far_domains_lie_apart_is_read_as_it_was_written(tmp_path):
    diagnosis = Diagnosis((Shift("photo", "after", 0.5, 0.01, 0.2, 30, 40),), 0.8, 0.9, (-0.1, 0.2), "accuracy")
    (tmp_path / "diagnosis.json").write_text(json.dumps(diagnosis.to_dict()))
    assert _diagnosis(tmp_path) == diagnosis
    assert _diagnosis(tmp_path / "nothing") is None


def test_half_of_the_rows_tell_whether_more_of_them_would_help(tmp_path):
    random = np.random.default_rng(0)
    shared = random.normal(size=(1000, 8))
    views = {
        name: shared @ random.normal(size=(8, 8)) + 2.0 * random.normal(size=(1000, 8)) for name in ("a", "b")
    }  # few numbers and much noise: more rows bring nothing
    run = Run.fit(read(views), method="cca", out=tmp_path / "run", holdout=0.3, dim=8)
    assert "More rows of this kind would bring little, as half of the 700 did" in run.advice()
    assert unescape(run.report().read_text()).count(run.advice()) == 1
    assert run.advice() == Run.open(run.path).advice()
    assert {record.method for record in run.result} <= {"cca", *run.method.rivals}
    assert {one.rival for one in run.differences} <= set(run.method.rivals)
