"""What a bench measured is kept whole, gone on from, compared, and filled into pages."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from bouba.bench import all as every
from bouba.bench import compare, kept
from bouba.cli.bench import group
from bouba.data.views import Views
from bouba.errors import DataError, UsageError
from bouba.evaluation import Record, Result
from bouba.evaluation.fingerprint import fingerprint


def record(value, seed=0, method="clip"):
    return Record(method, "known", "noto", "image<->words", "recall@10", value, None, None, 1.0, 100, seed)


@pytest.fixture
def typed(monkeypatch):
    """Stands for what a person types after `bouba`."""
    return lambda *words: monkeypatch.setattr("sys.argv", ["bouba", *words])


def test_what_is_written_is_read(tmp_path, typed):
    typed("bench", "emoji", "--seeds", "2", "--out", "a.json", "--data=x", "-o", "b.json", "--method", "CLIP + DANN")
    keeper = kept.Keeper(tmp_path / "a.json", lambda: "abc")
    keeper.write(Result([record(np.float64(41.5)), record(float("nan"), 1)]))
    same = kept.Kept.read(tmp_path / "a.json")
    assert same.command == "bouba bench emoji --seeds 2 --method 'CLIP + DANN'"
    assert same.bench == "emoji"
    assert same.environment["data"] == "abc"
    assert same.environment["versions"]["numpy"] == np.__version__
    assert same.cpu_seconds > 0
    assert same.peak_mb > 50
    assert same.measured.records[0] == record(41.5)
    assert np.isnan(same.measured.records[1].value)
    json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)


def test_figures_are_kept_as_they_are(tmp_path, typed):
    typed("bench", "cca")
    figures = {"rows": 3, "libraries": {"floor": {"cpu_s": 0.5}}}
    kept.Keeper(tmp_path / "a.json").write(figures)
    same = kept.Kept.read(tmp_path / "a.json")
    assert same.measured == figures
    assert same.environment["data"] == "simulated"


def test_figures_measured_anew_cost_what_they_cost(tmp_path, typed, monkeypatch):
    typed("bench", "cca")
    monkeypatch.setattr(kept, "cpu_seconds", lambda: 3.0)
    for _ in range(2):
        kept.Keeper(tmp_path / "a.json").write({"rows": 3})
        assert kept.Kept.read(tmp_path / "a.json").cpu_seconds == 3.0


def test_figures_are_gone_on_from_where_a_bench_asks_for_them(tmp_path, typed, monkeypatch):
    typed("bench", "mfeat")
    monkeypatch.setattr(kept, "cpu_seconds", lambda: 3.0)
    assert kept.Keeper(None).figures == {}
    kept.Keeper(tmp_path / "a.json").write({"runs": [1]})
    keeper = kept.Keeper(tmp_path / "a.json")
    keeper.write({"runs": [*keeper.figures["runs"], 2]})
    same = kept.Kept.read(tmp_path / "a.json")
    assert (same.measured, same.cpu_seconds) == ({"runs": [1, 2]}, 6.0)
    with pytest.raises(DataError, match="holds no records; name another file"):
        _ = kept.Keeper(tmp_path / "a.json").records


def test_going_on_adds_the_cost_and_more_seeds(tmp_path, typed):
    typed("bench", "emoji", "--seeds", "1")
    kept.Keeper(tmp_path / "a.json", lambda: "abc").write(Result([record(1.0)]))
    first = kept.Kept.read(tmp_path / "a.json")
    typed("bench", "emoji", "--seeds", "2", "--method", "mix")
    keeper = kept.Keeper(tmp_path / "a.json", lambda: "abc")
    assert keeper.records.records == [record(1.0)]
    keeper.write(keeper.records + Result([record(2.0, 1)]))
    assert kept.Kept.read(tmp_path / "a.json").cpu_seconds > first.cpu_seconds


def test_refusals(tmp_path, typed):
    typed("bench", "emoji", "--choose")
    kept.Keeper(tmp_path / "a.json").write(Result([record(1.0)]))
    typed("bench", "emoji")
    with pytest.raises(UsageError, match="holds what `bouba bench emoji --choose` measured"):
        kept.Keeper(tmp_path / "a.json")
    typed("bench", "emoji", "--choose", "--seeds", "9")
    with pytest.raises(UsageError, match="holds what was measured on other data"):
        _ = kept.Keeper(tmp_path / "a.json", lambda: "abc").records
    (tmp_path / "b.json").write_text('{"records": []}')
    with pytest.raises(DataError, match="is no measurement of a bench"):
        kept.Kept.read(tmp_path / "b.json")


def test_compare_shows_ratios(tmp_path):
    def measurement(value, cpu, name="emoji"):
        return kept.Kept(f"bouba bench {name}", {"data": "x"}, cpu, 100, Result([record(value), record(value + 2, 1)]))

    table = compare.compared(measurement(40, 10.0), measurement(50, 5.0))
    lines = {line[0]: line[1:] for line in table.lines}
    assert lines["CPU-seconds"] == ["10", "5", "0.500"]
    assert lines["noto, known, image<->words, clip, recall@10"] == ["41", "51", "1.244"]
    assert [line[0] for line in compare.compared(measurement(40, 10.0), measurement(50, 9.9), 0.1).lines] == [
        "noto, known, image<->words, clip, recall@10"
    ]
    with pytest.raises(DataError, match="`bouba bench usps`"):
        compare.compared(measurement(1, 1.0), measurement(1, 1.0, "usps"))


def test_compare_reads_figures_and_folders(tmp_path, typed):
    typed("bench", "cca")
    for folder, seconds in (("old", 2.0), ("new", 1.0)):
        kept.Keeper(tmp_path / folder / "cca.json").write({"libraries": {"floor": {"cpu_s": [seconds, 4.0]}}})
    typed("bench", "compare")
    out = CliRunner().invoke(group(), ["compare", str(tmp_path / "old"), str(tmp_path / "new")], catch_exceptions=False)
    assert "libraries, floor, cpu_s, 0" in out.stdout
    assert "0.500" in out.stdout


def test_all_names_benches_that_are_there():
    from bouba.cli.bench import descriptions

    assert {words.split()[0] for words in every.PUBLISHED.values()} <= set(descriptions())
    assert set(every.ON_DATA) <= set(every.PUBLISHED)


def test_all_runs_what_is_missing(tmp_path, monkeypatch, typed):
    monkeypatch.setattr(every, "PUBLISHED", {"few": "wrong-pairs-list --help", "digits": "mnist-m"})
    monkeypatch.setattr(every, "ON_DATA", ("digits",))
    monkeypatch.setattr(every, "_outcome", lambda file: "measured")
    typed("bench", "all")
    out = CliRunner().invoke(group(), ["all", "-o", str(tmp_path)], catch_exceptions=False).stdout
    assert "digits: left out; give --data" in out
    assert "few: " in out


def test_fingerprint_is_of_what_cells_hold():
    views = Views({"x": ["ox", "cow", None]}, kinds={"x": "text"}, y={"kind": ["a", "b", None]})
    other = Views({"x": ["ox", "cow", None]}, kinds={"x": "text"}, y={"kind": ["a", "a", None]})
    assert fingerprint(views) == fingerprint(views[np.arange(3)])
    assert fingerprint(views) != fingerprint(other)
    assert fingerprint(views) != fingerprint(views.select("x").replace(y={}))
    assert fingerprint(np.eye(3)) != fingerprint(np.eye(4))
    assert len(fingerprint(views)) == 32
