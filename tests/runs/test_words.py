"""Words find whole rows: by their letters, by known texts, with signs, and whichever views a row has."""

import shutil

import numpy as np
import pytest
from made import write_things

import bouba
from bouba import Run
from bouba.errors import UsageError
from bouba.runs.indexing import write_search
from bouba.runs.known import WHOLE, known_things

pytest.importorskip("lancedb")
pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Shapes and their captions, by canonical correlation; the last captions have no picture."""
    folder = tmp_path_factory.mktemp("words")
    table = write_things(folder)
    with table.open("a") as file:
        file.write(",a purple hexagon,hexagon,shop\n,a purple triangle,triangle,shop\n")
    return Run.fit(
        table, out=folder / "run", method="cca", ridge=0.5, n_components=6, holdout=0.2, allow_duplicates=True
    )


def colours(hits):
    return [hit.columns["caption"].split()[1] for hit in hits]


def test_a_single_word_finds_the_rows_that_have_it(run):
    for colour in ("red", "green", "blue"):
        hits = run.search(colour, k=5)
        assert colours(hits).count(colour) >= 4, colour
        assert {hit.view for hit in hits} == {WHOLE}
        assert {hit.way for hit in hits} <= {"direct", "letters", "meaning"}


def test_a_row_without_a_picture_is_found_by_its_words(run):
    hit = run.search("a purple hexagon", k=1)[0]
    assert (hit.row, hit.path) == (60, None)


def test_a_row_comes_once(run):
    for query in ("red", {"caption": "a red circle", "photo": str(run.path.parent / "thing00.png")}):
        rows = [hit.row for hit in run.search(query, k=500)]
        assert len(rows) == len(set(rows)) == 62


def test_what_is_not_wanted_falls(run):
    plain = run.search("circle", k=62)
    less = run.search("circle", minus="red", k=62)
    rank = lambda hits: np.mean([place for place, colour in enumerate(colours(hits)) if colour == "red"])  # noqa: E731
    assert rank(less) > rank(plain) + 5
    assert [hit.row for hit in less] == [hit.row for hit in run.search("circle", minus=["red"], k=62)]
    with pytest.raises(UsageError, match="take it off an embedding yourself"):
        run.search(np.ones(run.index.dim), minus="red")


def test_parts_pull_together(run):
    picture = run.path.parent / "thing01.png"  # a green circle
    both = run.search({"text": "bar", "image": picture}, k=6)
    captions = [hit.columns["caption"] for hit in both]
    assert sum("green" in caption or "bar" in caption for caption in captions) >= 5


def test_scores_stand_for_the_same_rows_when_opened_again(run):
    again = Run.open(run.path)
    assert [vars(hit) for hit in again.search("red", k=9)] == [vars(hit) for hit in run.search("red", k=9)]


def test_a_run_of_before_is_searched_as_before(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "old")
    shutil.rmtree(tmp_path / "old" / "known")
    hits = Run.open(tmp_path / "old").search("a red circle", k=3)
    assert [(hit.row, hit.view) for hit in hits] == [
        (hit.row, hit.view) for hit in run.search("a red circle", k=3, view="photo")
    ]
    assert {hit.way for hit in hits} == {"direct"}


def test_drawings_without_words_are_found_by_what_others_are_called(run, tmp_path):
    views = run.read(run.facts["table"])
    bare, named = views[np.arange(0, 60, 2)].select("photo"), views[np.arange(1, 60, 2)]
    index = write_search(run.model, bare, tmp_path, known=named)
    assert set(index.views) == {"photo", WHOLE}
    shutil.copytree(run.path / "model", tmp_path / "model")
    hits = Run.open(tmp_path).search("blue", k=4)
    assert [hit.row % 4 for hit in hits].count(2) >= 3  # every fourth thing is blue


def test_rows_of_the_same_texts_are_one_thing(run):
    views = run.read(run.facts["table"])
    known = known_things(run.model, views, run.model.embed(views), list(views.columns))
    captions = {str(caption) for caption in views["caption"]}
    assert known.vectors.shape[:2] == (2, len(captions))


def test_other_models_are_searched_as_before(tmp_path):
    random = np.random.default_rng(0)
    words = ["good", "bad"] * 20
    table = {"a": random.normal(size=40), "words": words, "price": random.normal(size=40)}
    read = {"label": "price", "text": "words", "vector": "a"}
    options = {"epochs": 1, "dim": 4, "towers": "scratch", "baseline": False}
    fused = Run.fit(table, method="regressor", read=read, out=tmp_path / "run", **options)
    assert not (fused.path / "known").exists()
    assert fused.known is None
    assert {hit.view for hit in fused.search("good", k=3)} == {"fused"}
    assert fused.search("good", minus="bad", k=3)
    assert isinstance(bouba.load(fused.path), bouba.FusionRegressor)
