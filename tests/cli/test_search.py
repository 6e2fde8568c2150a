"""`bouba search`: what it prints, writes and takes."""

import csv
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from made import write_things
from rich.cells import cell_len
from test_commands import bouba as code

from bouba import Run
from bouba.cli.hits import WIDTH
from bouba.cli.printing import cut, fitted, text_columns, width_of

pytest.importorskip("lancedb")
pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Photos and captions, each row with an id of the person's own, a long note and a column that is called as a field
    of a hit."""
    folder = tmp_path_factory.mktemp("search")
    header, *rows = csv.reader(write_things(folder).read_text().splitlines())
    table = folder / "named.csv"
    more = ["photo_id", "score", "note"]
    cells = [[*row, f"=photo {i}", f"{i} of 60", f"第{i}张图片 " * 30] for i, row in enumerate(rows)]
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header + more, *cells])
    out = folder / "run"
    assert code("fit", table, "-o", out, "--method", "cca", "--holdout", 0.3, "--text", "caption") == 0
    return out


@pytest.fixture
def search(run, capsys):
    """(exit code, what is printed, what stands beside it) of a search in the run."""

    def of(*arguments):
        capsys.readouterr()
        return code("search", run, *arguments), *capsys.readouterr()

    return of


@pytest.fixture
def questions(tmp_path):
    file = tmp_path / "q.txt"
    file.write_text("a red circle\n\n  a blue bar \n")
    return file


def test_a_row_is_called_by_its_own_id_first_and_lines_fit_the_terminal(search):
    _, out, _ = search("a red circle", "-k", 5)
    header, *hits = (re.split("  +", line) for line in out.splitlines()[:6])
    assert header[:4] == ["photo_id", "title", "score", "row"]
    found = json.loads(search("a red circle", "-k", 5, "--json")[1])
    assert [hit[:2] for hit in hits] == [[each["id"], each["title"]] for each in found]
    assert [hit[header.index("row")] for hit in hits] == [str(each["row"]) for each in found]
    assert max(cell_len(line) for line in out.splitlines()[:6]) <= WIDTH
    assert "…" in out


def test_records_name_id_title_files_and_columns(run, search):
    _, out, _ = search("a red circle", "-k", 3, "--json")
    hits, opened = json.loads(out), Run.open(run)
    assert [hit["row"] for hit in hits] == [hit.row for hit in opened.search("a red circle", k=3)]
    for hit, item in zip(hits, opened.items([hit["row"] for hit in hits]), strict=True):
        assert (hit["id"], hit["title"]) == (item.id, item.title)
        assert hit["paths"] == {"photo": item.views["photo"].path}
        assert hit["columns"]["photo_id"] == hit["id"]
        assert {"score", "view", "path", "way", "confidence"} <= set(hit)


def test_rows_are_looked_for_by_rows_and_are_no_hits_themselves(run, search):
    rows = [hit.row for hit in Run.open(run).search("a red circle", k=2)]
    _, out, _ = search("--like", rows[0], "--like", rows[1], "-k", 4, "--json")
    hits = [hit["row"] for hit in json.loads(out)]
    assert hits == [hit.row for hit in Run.open(run).search(like=rows, k=4)]
    assert not set(hits) & set(rows)
    assert search("--like", 99999)[0] == 2


def test_files_are_taken_away(run, search):
    picture = run.parent / "thing00.png"
    _, out, _ = search("a circle", "--minus-image", picture, "--json")
    assert [hit["row"] for hit in json.loads(out)] == [
        hit.row for hit in Run.open(run).search("a circle", minus=[{"image": picture}])
    ]
    assert search("a circle", "--json")[1] != out


def test_hits_are_written_as_tables_and_records(run, search, tmp_path):
    found = json.loads(search("a red circle", "-k", 4, "--json")[1])
    for name in ("h.csv", "h.parquet", "h.jsonl"):
        exit_code, out, _ = search("a red circle", "-k", 4, "-o", tmp_path / "new" / name)
        assert (exit_code, out) == (0, f"4 hits: {tmp_path / 'new' / name}\n")
    lines = list(csv.DictReader((tmp_path / "new" / "h.csv").open(encoding="utf-8")))
    rows = pq.read_table(tmp_path / "new" / "h.parquet").to_pylist()
    assert [json.loads(line) for line in (tmp_path / "new" / "h.jsonl").open(encoding="utf-8")] == found
    assert list(lines[0]) == list(rows[0])
    for line, row, hit in zip(lines, rows, found, strict=True):
        assert line["id"] == f"'{hit['id']}", "a spreadsheet runs no id as a formula"
        assert {name: row[name] for name in ("id", "title", "row", "score", "confidence", "way", "path")} == {
            name: hit[name] for name in ("id", "title", "row", "score", "confidence", "way", "path")
        }
        assert float(line["score"]) == hit["score"]
        assert row["column_score"] == hit["columns"]["score"] == f"{hit['row']} of 60"
        assert row["label"] == hit["columns"]["label"]
    search("a red circle", "-k", 4, "-o", tmp_path / "raw.csv", "--raw")
    assert [line["id"] for line in csv.DictReader((tmp_path / "raw.csv").open())] == [hit["id"] for hit in found]


@pytest.mark.parametrize("name", ["h.xlsx", "h", "there.csv", "folder.csv"])
def test_a_file_that_cannot_be_written_is_one_line(search, tmp_path, name):
    (tmp_path / "there.csv").write_text("precious")
    (tmp_path / "folder.csv").mkdir()
    exit_code, out, err = search("a red circle", "-o", tmp_path / name)
    assert (exit_code, out, err.count("\n")) == (2, "", 1)
    assert (tmp_path / "there.csv").read_text() == "precious"
    if name == "there.csv":
        assert search("a red circle", "-o", tmp_path / name, "--overwrite")[0] == 0
        assert (tmp_path / name).read_text().startswith("id,title,row,score")


def test_questions_of_a_file_are_searched_at_once(run, search, questions, tmp_path):
    _, out, _ = search("--questions", questions, "-k", 2, "--json")
    hits, opened = json.loads(out), Run.open(run)
    assert [(hit["number"], hit["question"]) for hit in hits] == [(1, "a red circle")] * 2 + [(3, "a blue bar")] * 2
    expected = [hit.row for text in ("a red circle", "a blue bar") for hit in opened.search(text, k=2)]
    assert [hit["row"] for hit in hits] == expected
    _, out, _ = search("--questions", questions, "-k", 2)
    assert [re.split("  +", line)[:3] for line in out.splitlines()[:2]] == [
        ["number", "question", "photo_id"],
        ["1", "a red circle", hits[0]["id"]],
    ]
    search("--questions", questions, "-k", 2, "-o", tmp_path / "h.parquet")
    rows = pq.read_table(tmp_path / "h.parquet").to_pylist()
    assert [(row["number"], row["question"], row["id"]) for row in rows] == [
        (hit["number"], hit["question"], hit["id"]) for hit in hits
    ]


@pytest.mark.parametrize("name", ["question", "text"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_column_of_questions(search, tmp_path, name, ending):
    import pandas as pd

    file = tmp_path / f"q.{ending}"
    frame = pd.DataFrame({"who": [1, 2, 3], name: ["a red circle", None, "a blue bar"]})
    frame.to_csv(file, index=False) if ending == "csv" else frame.to_parquet(file)
    _, out, err = search("--questions", file, "-k", 1, "--json")
    assert [(hit["number"], hit["question"]) for hit in json.loads(out)] == [(1, "a red circle"), (3, "a blue bar")]
    assert f"rows of {file} without a question, left out: 1" in err


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("q.txt", "\n \n", "holds no question"),
        ("q.csv", "other,b\nx,y\n", "has no column question or text; it has other, b"),
        ("q.json", "[]", "takes a .txt with a question a line, or .csv or .parquet"),
        ("missing.txt", None, "no file"),
    ],
)
def test_files_that_hold_no_questions(search, tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    exit_code, _, err = search("--questions", tmp_path / name)
    assert (exit_code, err.count("\n")) == (2, 1)
    assert message in err


def test_questions_and_words_are_one_too_many(search, questions):
    exit_code, _, err = search("a red circle", "--questions", questions)
    assert exit_code == 2
    assert "leave out words, files and --like" in err


def test_filters_that_let_nothing_pass(search, tmp_path):
    filters = ("--where", "label = 'bar'", "--column", "label=circle")
    sentence = "no row fits --column label=circle and --where label = 'bar'; leave one out\n"
    assert search("a red circle", *filters) == (0, sentence, "")
    assert search("a red circle", *filters, "--json") == (0, "[]\n", sentence)
    for name in ("h.csv", "h.parquet", "h.jsonl"):
        assert search("a red circle", *filters, "-o", tmp_path / name) == (0, f"0 hits: {tmp_path / name}\n", sentence)
    assert pq.read_table(tmp_path / "h.parquet").num_rows == 0
    assert (tmp_path / "h.csv").read_text().startswith("id,title,row,score")
    assert (tmp_path / "h.csv").read_text().count("\n") == 1


def test_more_than_there_are_is_all_of_them_once(run, search):
    rows = [hit["row"] for hit in json.loads(search("a red circle", "-k", 10**6, "--json")[1])]
    assert sorted(rows) == Run.open(run).index.listing.rows.tolist()


@pytest.mark.parametrize("seed", range(20))
def test_law_a_fitted_table_fits(seed):
    random = np.random.default_rng(seed)
    letters = list("abc 第张🍅é/\n\x1b")
    rows = [["".join(random.choice(letters, random.integers(90))) for _ in range(5)] for _ in range(4)]
    lines = text_columns(fitted(rows, 60)).split("\n")
    assert len(lines) == 4
    assert max(map(cell_len, lines)) <= 60
    short = [["a", "第"], ["bc", "d"]]
    assert fitted(short, 60) == short


def test_a_path_is_cut_at_its_beginning():
    assert cut("/a/long/way/to/thing.png", 12) == "…o/thing.png"
    assert cut("/my own photos/a thing.png", 12) == "…a thing.png"
    assert cut("red and/or blue. A circle", 12) == "red and/or…"
    assert cut("a long text of words", 12) == "a long text…"
    assert width_of([cut("第" * 20, 10)]) <= 10
