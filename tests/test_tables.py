"""Tables of README and docs are what the measurements in benchmarks/results say."""

import re
import shlex

import pytest

from bouba.bench import all as every
from bouba.bench.kept import Keeper, Kept
from bouba.evaluation import Record, Result
from scripts import tables

FILES = sorted(tables.RESULTS.glob("*.json"))
PLACES = [
    (str(page.relative_to(tables.HOME)), *found[1:3])
    for page in tables.PAGES
    for found in tables.PLACE.findall(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: str(page.relative_to(tables.HOME)))
def test_tables_are_what_was_measured(page):
    text = page.read_text(encoding="utf-8")
    assert tables.filled(text) == text, "run `make tables`"


def test_every_measurement_was_made_by_the_command_of_its_name():
    assert FILES
    for file in FILES:
        words = shlex.split(Kept.read(file).command)[2:]
        assert words == shlex.split(every.PUBLISHED[file.stem]), file.name


def test_every_measurement_tells_its_data_and_cost():
    for file in FILES:
        kept = Kept.read(file)
        assert re.fullmatch("[0-9a-f]{32}|simulated", kept.environment["data"]), file.name
        assert kept.cpu_seconds > 0
        assert kept.peak_mb > 0
        assert kept.environment["versions"]["torch"]


def test_a_page_is_filled(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["bouba", "bench", "emoji", "--seeds", "1"])
    records = [
        Record("CLIP", split, "noto", "image<->words", metric, 41.5, None, None, 2.0, 100, 0)
        for metric, split in (
            ("recall@10", "known"),
            ("recall@10", "new"),
            ("group accuracy", "known"),
            ("group accuracy", "new"),
            ("domain accuracy", "known"),
        )
    ]
    Keeper(tmp_path / "some.json", lambda: "0" * 32).write(Result(records))
    page = "above\n<!-- table: some short -->\nbefore\n<!-- end of table -->\nbelow"
    new = tables.filled(page, tmp_path)
    assert "| recall@10, known (of 100) | 2.0 | 41.5 |" in new
    assert "before" not in new
    assert "`bouba bench emoji --seeds 1`, 20" in new
    assert new.startswith("above\n<!-- table: some short -->\n")
    assert new.endswith("<!-- end of table -->\nbelow")
    assert tables.filled(new, tmp_path) == new
    with pytest.raises(KeyError):
        tables.filled(page.replace("short", "long"), tmp_path)
