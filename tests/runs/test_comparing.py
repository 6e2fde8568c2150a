"""Two runs side by side: paired on the same rows where that can be, and said where it cannot."""

import json
import re
import sys

import numpy as np
import pytest

import bouba
from bouba import NGrams, Run
from bouba.cli import main
from bouba.errors import UsageError
from bouba.evaluation.intervals import paired_difference
from bouba.metrics import retrieval

pytest.importorskip("lancedb")
pytest.importorskip("jinja2")


def command(capsys, *words):
    """What a command prints, and beside it."""
    capsys.readouterr()
    before, sys.argv = sys.argv, ["bouba", *map(str, words)]
    try:
        with pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = before
    assert not end.value.code
    return capsys.readouterr()


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Two tables of numbers with words of what they are, and one of fewer rows that neither run has seen."""
    folder, random = tmp_path_factory.mktemp("numbers"), np.random.default_rng(0)
    for name, rows in (("things", 240), ("others", 240), ("new", 60)):
        latent = random.normal(size=(rows, 2))
        lines = ["a,b,words,kind"]
        for a, b in latent + 0.3 * random.normal(size=(rows, 2)):
            number = f"{name} {random.integers(100)}"
            words = f"{'dear' if a > 0 else 'cheap'} {number} {'good' if b > 0 else 'bad'}"
            lines.append(f"{a:.4f},{b:.4f},{words},{'x' if a > 0 else 'y'}")
        (folder / f"{name}.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def runs(tables, tmp_path_factory):
    """A model that was trained for long, one that was hardly, one of another table, and a classifier."""
    out, read = tmp_path_factory.mktemp("runs"), {"vector": ["a", "b"], "text": "words", "label": "kind"}
    options = {"holdout": 0.3, "dim": 8, "read": read, "baseline": False, "towers": {"words": NGrams(width=16)}}
    options["towers"]["numbers"] = bouba.MLP(hidden=(16,))
    fit = lambda name, table, **more: Run.fit(tables / table, out=out / name, **{**options, **more})  # noqa: E731
    fit("long", "things.csv", method="clip", epochs=15, lr=0.01)
    fit("short", "things.csv", method="clip", epochs=1, random_state=0)
    fit("elsewhere", "others.csv", method="clip", epochs=1)
    fit("classifier", "others.csv", method="classifier", epochs=1, read={**read, "text": "words"})
    return out


def test_differences_are_those_of_the_rows_that_both_held_out(runs):
    long, short = Run.open(runs / "long"), Run.open(runs / "short")
    compared = long.compare(short)
    assert compared.paired
    facts = [json.loads((run.path / "duplicates.json").read_text())["judged"] for run in (long, short)]
    both = sorted(set(facts[0]) & set(facts[1]))
    assert f"the {len(both)} rows that both held out" in compared.rows
    views = bouba.read(*long.facts["table"], **long.recipe["read"])[np.array(both)]
    hits = []
    for run in (long, short):
        z = run.model.embed(views.select("numbers", "words"))
        hits.append(retrieval(z["words"], z["numbers"], views.things, views.things)["recall@10"])
    expected = paired_difference(*hits, groups=views.things, bounds=(0, 1))
    (line,) = (ln for ln in compared.lines if (ln.direction, ln.metric) == ("words->numbers", "recall@10"))
    d = line.difference
    np.testing.assert_allclose((d.value, d.low, d.high, d.p, d.n), (*expected, len(both)))
    assert line.ahead == 0
    (turned,) = (
        ln for ln in short.compare(long.path).lines if (ln.direction, ln.metric) == ("words->numbers", "recall@10")
    )
    assert (turned.difference.value, turned.ahead) == (-d.value, 1)


def test_a_run_and_itself_cannot_be_told_apart(runs):
    compared = Run.open(runs / "long").compare(runs / "long")
    assert {line.difference.value for line in compared.lines if line.difference} == {0.0}
    assert {line.ahead for line in compared.lines} == {None}
    assert compared.names == ("long (1)", "long (2)")
    assert not compared.settings


def test_a_table_pairs_runs_of_different_tables_and_warns_of_rows_that_were_seen(runs, tables):
    long, elsewhere = Run.open(runs / "long"), Run.open(runs / "elsewhere")
    compared = long.compare(elsewhere, tables / "new.csv")
    assert compared.paired
    assert "the same 60 rows" in compared.rows
    assert not compared.remarks
    assert any(line.difference for line in compared.lines)
    seen = long.compare(elsewhere, tables / "things.csv").remarks
    assert len(seen) == 1
    assert seen[0].startswith("long: ")
    assert "were in training" in seen[0]


def test_what_is_not_paired_is_said_with_the_remedy(runs):
    compared = Run.open(runs / "long").compare(runs / "elsewhere")
    assert not compared.paired
    assert "no difference is paired: they were made of different tables" in compared.rows
    assert "bouba compare A B TABLE" in compared.rows
    assert not any(line.difference for line in compared.lines)
    (line, *_) = compared.lines
    assert line.one == Run.open(runs / "long").result.value(direction=line.direction, metric=line.metric)
    with pytest.raises(UsageError, match="have no number in common, and they were made of different tables"):
        Run.open(runs / "long").compare(runs / "classifier")


def test_a_table_that_changed_is_no_longer_paired(runs, tables, tmp_path):
    text = (tables / "things.csv").read_text()
    try:
        (tables / "things.csv").write_text(text.replace("dear", "precious"))
        compared = Run.open(runs / "long").compare(runs / "short")
        assert "its table has changed" in compared.rows
        (tables / "things.csv").rename(tables / "moved.csv")
        assert "cannot be read again" in Run.open(runs / "long").compare(runs / "short").rows
    finally:
        (tables / "things.csv").write_text(text)


def test_runs_without_a_task_in_common_are_refused(runs, tables):
    with pytest.raises(UsageError, match="no direction or label was judged for both"):
        Run.open(runs / "long").compare(runs / "classifier", tables / "new.csv")


def test_settings_time_and_size(runs):
    compared = Run.open(runs / "long").compare(runs / "short")
    assert compared.settings["arguments.epochs"] == (15, 1)
    assert compared.facts["epochs"] == ("15", "1")
    assert all(re.fullmatch(r"[\d.]+ MB", size) for size in compared.facts["size of the model"])


def test_the_command_prints_a_table_of_a_hundred_columns_and_writes_a_page(runs, tmp_path, capsys):
    page = tmp_path / "page.html"
    out = command(capsys, "compare", runs / "long", runs / "short", "-o", page)
    assert max(map(len, out.out.splitlines())) <= 100
    assert "words->numbers" in out.out
    assert str(page) in out.err
    html = page.read_text()
    assert html.count("<table") == html.count("</table>") == 3
    assert "http" not in html.replace("http-equiv", "")
    told = json.loads(command(capsys, "compare", runs / "long", runs / "short", "--json").out)
    assert told["paired"]
    assert {line["ahead"] for line in told["lines"]} >= {"long"}


def test_names_and_settings_on_the_page_are_text(runs, tmp_path):
    from dataclasses import replace

    compared = Run.open(runs / "long").compare(runs / "short")
    hostile = replace(compared, names=("<script>alert(1)</script>", "b"), settings={"<b>": ("<i>", 1)})
    html = hostile.write(tmp_path / "page.html").read_text()
    assert "<script" not in html
    assert "<i>" not in html
