"""The command line as a person uses it: a table in, a run folder out, words in, pictures out."""

import json
import sys
from html import unescape
from pathlib import Path

import pytest
from made import write_things

from bouba import Run
from bouba.cli import main


def bouba(*arguments: object) -> int:
    """Run a command in this process; its exit code."""
    before, sys.argv = sys.argv, ["bouba", *map(str, arguments)]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One small run that the tests of this file share."""
    folder = tmp_path_factory.mktemp("cli")
    table = write_things(folder)
    out = folder / "runs" / "mine"
    assert bouba("fit", table, "-o", out, "--epochs", 8, "--dim", 16, "--holdout", 0.3, "--lr", 0.01) == 0
    return table, out


def test_fit_writes_the_whole_run_folder(run):
    _, out = run
    there = {p.name for p in out.iterdir()}
    assert there >= {"recipe.toml", "model", "metrics.json", "history.jsonl", "bad_rows.jsonl", "report.html", "index"}
    assert not (out.parent / "mine.part").exists()
    bad = [json.loads(line) for line in (out / "bad_rows.jsonl").read_text().splitlines()]
    assert [(b["row"], b["column"]) for b in bad] == [(7, "photo")]
    assert "these bytes are no known image format" in bad[0]["reason"]
    records = json.loads((out / "metrics.json").read_text())
    assert {"clip", "linear-cca", "few-pairs"} == {r["method"] for r in records}
    assert {"photo->caption", "caption->photo"} <= {r["direction"] for r in records}
    for record in records:
        if record["metric"] == "recall@10":
            assert 0 <= record["low"] <= record["value"] <= record["high"] <= 1
    assert len((out / "history.jsonl").read_text().splitlines()) == 8
    assert "data:image" in (out / "report.html").read_text()


def test_fit_prints_what_the_report_opens_with(run):
    _, out = run
    opened = Run.open(out)
    assert opened.summary() in unescape((out / "report.html").read_text())
    assert "There were " in opened.summary()
    assert {difference.rival for difference in opened.differences} == {"linear-cca", "few-pairs"}
    (out / "differences.json").rename(out / "moved.json")  # as in a run of before
    assert Run.open(out).differences == []
    assert Run.open(out).summary()
    (out / "moved.json").rename(out / "differences.json")


def test_the_recipe_of_a_run_repeats_it(run, tmp_path):
    table, out = run
    assert bouba("fit", table, "-o", tmp_path / "again", "--recipe", out / "recipe.toml", "--holdout", 0.3) == 0
    one, two = ((o / "model" / "model.safetensors").read_bytes() for o in (out, tmp_path / "again"))
    assert one == two


def test_search_finds_by_words_by_picture_and_under_filters(run, capsys):
    table, out = run
    capsys.readouterr()
    assert bouba("search", out, "a red circle", "-k", 3, "--json") == 0
    hits = json.loads(capsys.readouterr().out)
    assert len(hits) == 3
    assert all(hit["way"] in ("direct", "letters", "meaning") and Path(hit["path"]).exists() for hit in hits)
    assert [h["score"] for h in hits] == sorted((h["score"] for h in hits), reverse=True)
    assert bouba("search", out, "a red circle", "--column", "label=bar", "--json") == 0
    assert {hit["columns"]["label"] for hit in json.loads(capsys.readouterr().out)} == {"bar"}
    assert bouba("search", out, "a red circle", "--where", "label = 'bar' AND domain = 'shop'", "--json") == 0
    assert {hit["columns"]["domain"] for hit in json.loads(capsys.readouterr().out)} == {"shop"}
    assert bouba("search", out, "--image", table.parent / "thing00.png", "-k", 2) == 0
    assert "a " in capsys.readouterr().out
    assert bouba("search", out, "circle", "--image", table.parent / "thing01.png", "--minus", "red", "--json") == 0
    rows = [hit["row"] for hit in json.loads(capsys.readouterr().out)]
    assert len(rows) == len(set(rows)) == 10


def test_evaluate_on_another_table(run, capsys):
    table, out = run
    assert bouba("evaluate", out, table, "--json") == 0
    records = json.loads(capsys.readouterr().out)
    assert {"recall@1", "median_rank", "mrr", "map"} <= {r["metric"] for r in records}
    assert {r["domain"] for r in records} == {"shop", "studio"}


def test_inspect_says_what_it_understood(run, capsys):
    table, _ = run
    assert bouba("inspect", table) == 0
    said = capsys.readouterr().out
    for words in ("60 rows", "photo", "image", "caption", "text", "3 classes", "2 domains", "row 7, photo: not a p"):
        assert words in said
    assert bouba("inspect", table, "--label", "caption", "--json") == 0
    assert json.loads(capsys.readouterr().out)["labels"]["caption"]["classes"] == 12


def test_adapted_clip_needs_a_target(run, capsys, tmp_path):
    table, _ = run
    assert bouba("fit", table, "-o", tmp_path / "a", "--method", "adapted-clip") == 2
    assert "needs --target, the domain to adapt to; the table has shop, studio" in capsys.readouterr().err
    arguments = ("--method", "adapted-clip", "--target", "shop", "--epochs", 1, "--dim", 8)
    assert bouba("fit", table, "-o", tmp_path / "a", *arguments) == 0


def test_dann_is_trained_beside_its_source_only_like_and_diagnosed(run, capsys, tmp_path):
    table, _ = run
    assert bouba("fit", table, "-o", tmp_path / "d", "--method", "dann") == 2
    assert "dann needs --target" in capsys.readouterr().err
    arguments = ("--method", "dann", "--target", "shop", "--epochs", 1, "--dim", 8, "--holdout", 0.4)
    assert bouba("fit", table, "-o", tmp_path / "d", *arguments) == 0
    records = json.loads((tmp_path / "d" / "metrics.json").read_text())
    records = records["records"] if isinstance(records, dict) else records
    assert {"dann", "source-only", "source-only-normed"} <= {record["method"] for record in records}
    assert {"shop", "studio"} <= {record["domain"] for record in records}
    found = json.loads((tmp_path / "d" / "diagnosis.json").read_text())
    assert {shift["view"] for shift in found["shifts"]} == {"photo"}  # captions of the target stay hidden
    assert {shift["space"] for shift in found["shifts"]} == {"before", "after"}
    page = (tmp_path / "d" / "report.html").read_text()
    assert "How far apart the domains lie" in page
    assert page.index("Test · shop, the target") < page.index("Test · studio")
    assert bouba("predict", tmp_path / "d", table, "-o", tmp_path / "guess.csv") == 0


def test_resume_after_a_crash(run, tmp_path, monkeypatch, capsys):
    table, _ = run
    arguments = (table, "-o", tmp_path / "r", "--epochs", 3, "--dim", 8)
    from bouba.train import loop

    real = loop.save_checkpoint

    def crash(folder, **what):
        real(folder, **what)
        if what["facts"]["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", crash)
    assert bouba("fit", *arguments) != 0
    monkeypatch.setattr(loop, "save_checkpoint", real)
    assert not (tmp_path / "r").exists()
    assert bouba("fit", *arguments, "--resume") == 0
    assert bouba("fit", table, "-o", tmp_path / "whole", "--epochs", 3, "--dim", 8) == 0
    one, two = ((tmp_path / o / "model" / "model.safetensors").read_bytes() for o in ("r", "whole"))
    assert one == two


def test_repeated_captions_are_said_and_a_key_settles_them(run, capsys):
    table, _ = run
    assert bouba("inspect", table) == 0
    assert "60 of 60 rows share their 'caption' with another row" in capsys.readouterr().out
    assert bouba("inspect", table, "--text", "caption", "--key", "caption") == 0
    said = capsys.readouterr().out
    assert "share their" not in said
    assert "12 things" in said


def test_towers_for_some_of_the_views_and_nothing_of_the_target_in_the_probe(run, tmp_path, monkeypatch):
    table, _ = run
    rows = [line + ("," + ("note" if i == 0 else f"word {i}")) for i, line in enumerate(table.read_text().splitlines())]
    wide = table.parent / "wide.csv"
    wide.write_text("\n".join(rows))
    text = '[towers.photo]\nencoder = "ConvNet"\nsize = 16\nchannels = 4\n[towers.caption]\nencoder = "NGrams"\n'
    (tmp_path / "r.toml").write_text(text + '[read]\ntext = ["caption", "note"]\n')
    from bouba.runs import fitting

    seen = []
    real = fitting.measure
    monkeypatch.setattr(fitting, "measure", lambda *a, **k: seen.append(a[2]) or real(*a, **k))
    arguments = ("--method", "adapted-clip", "--target", "shop", "--epochs", 1, "--dim", 8, "--holdout", 0.3)
    assert bouba("fit", wide, "-o", tmp_path / "w", "--recipe", tmp_path / "r.toml", *arguments) == 0
    assert seen[0].domains == ["studio"]
    assert list(seen[0].columns) == ["photo", "caption"]


def test_columns_keep_their_own_names_and_numbers_are_numbers(tmp_path, capsys):
    rows = [f"{'good' if i % 2 else 'bad'} thing {i},{i % 3},{'ab'[i % 2]}" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["words,rooms,site", *rows]))
    assert bouba("inspect", tmp_path / "t.csv", "--domain", "site") == 0
    assert "site     domain" in capsys.readouterr().out
    (tmp_path / "t.csv").write_text("\n".join(["words,rooms,site,rank", *(f"{r},{i}" for i, r in enumerate(rows))]))
    named = ("--text", "words", "--vector", "rooms", "--domain", "site", "--label", "rank", "--epochs", 1, "--dim", 4)
    assert bouba("fit", tmp_path / "t.csv", *named, "-o", tmp_path / "run") == 0
    capsys.readouterr()
    assert bouba("search", tmp_path / "run", "good", "--column", "rank=7", "--column", "site=b", "--json") == 0
    assert {hit["row"] for hit in json.loads(capsys.readouterr().out)} == {7}
    assert bouba("search", tmp_path / "run", "good", "-k", 1) == 0
    header = capsys.readouterr().out.split("\n")[0].split()  # "words" is the title, and there is no file
    assert header == ["row", "title", "score", "way", "site", "rank", "rooms"]


def test_what_the_machine_refuses_is_one_line_and_exit_code_1(run, capsys, tmp_path):
    table, _ = run
    (tmp_path / "file").touch()
    assert bouba("fit", table, "-o", tmp_path / "file" / "run", "--epochs", 1, "--dim", 4) == 1
    err = capsys.readouterr().err
    assert err.count("bouba: ") == 1
    assert "Traceback" not in err
    assert bouba("fit", table, "-o", tmp_path / "run", "--seed", -1) == 2
    assert "--seed is a whole number from 0 to 4,294,967,295, got -1" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert bouba("fit", table, "-o", tmp_path / "empty", "--epochs", 1, "--dim", 4) == 0
