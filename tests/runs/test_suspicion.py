import csv
import json
import sys
from contextlib import suppress

import numpy as np
import pytest
from made import twin_vectors

import bouba
from bouba.cli import main
from bouba.errors import ModalityError, UsageError


def _printed(capsys, *arguments):
    """What a command prints."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch, suppress(SystemExit):
        patch.setattr(sys, "argv", ["bouba", *map(str, arguments)])
        main()
    return capsys.readouterr().out


@pytest.fixture
def table(tmp_path):
    """A file of two views of numbers, five of whose 100 pairs are wrong."""
    views = twin_vectors(100)
    left, right = (np.stack(list(views[name])) for name in ("left", "right"))
    right[[3, 20, 41, 66, 90]] = right[[20, 41, 66, 90, 3]]
    file = tmp_path / "twins.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow([*(f"a_{i}" for i in range(6)), *(f"b_{i}" for i in range(9))])
        writer.writerows(np.hstack([left, right]).tolist())
    return file


WRONG = {3, 20, 41, 66, 90}
NAMED = ("--vector", "a_*", "--vector", "b_*")


def test_a_table_and_the_run_made_of_it_list_the_same_pairs(table, tmp_path, capsys):
    run = bouba.Run.fit(table, out=tmp_path / "run", method="cca", read={"vector": ["a_*", "b_*"]})
    assert {doubt.row for doubt in run.suspicious()[:5]} == WRONG
    assert run.suspicious(table) == run.suspicious()
    assert _printed(capsys, "inspect", "--pairs", run.path) == _printed(capsys, "inspect", "--pairs", table, *NAMED)


def test_the_command_lists_them_and_writes_a_page(table, tmp_path, capsys):
    page = tmp_path / "pairs.html"
    out = _printed(capsys, "inspect", "--pairs", table, *NAMED, "--page", page, "-k", 5)
    assert {int(line.split()[1]) for line in out.splitlines()[1:6]} == WRONG
    assert "100 pairs, each judged by a model fitted on other rows" in out
    found = json.loads(_printed(capsys, "inspect", "--pairs", table, *NAMED, "--json"))
    assert {one["row"] for one in found[:5]} == WRONG
    assert len(found) == 100
    html = page.read_text(encoding="utf-8")
    assert "Pairs that may be wrong" in html
    assert all(f"row {row} " in html for row in WRONG)


def test_the_report_shows_held_out_pairs_that_fit_worst(tmp_path, things):
    run = bouba.Run.fit(things, out=tmp_path / "run", method="cca", holdout=0.5, features=20)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "29 rows were held out" in page or "30 rows were held out" in page
    assert 'class="doubtful"' in page


def test_what_has_no_pairs_or_no_table_is_refused(tmp_path):
    run = bouba.Run.fit(twin_vectors(60), out=tmp_path / "run", method="cca")
    with pytest.raises(UsageError, match="does not know which table"):
        run.suspicious()
    with pytest.raises(ModalityError, match="a pair takes two views"):
        run.suspicious(twin_vectors(60).select("left"))
