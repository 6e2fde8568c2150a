"""Questions of several parts with signs, of rows of the index, and several questions at once."""

from pathlib import Path

import pytest
from made import write_things

from bouba import Run
from bouba.errors import UsageError

pytest.importorskip("lancedb")
pytest.importorskip("plotly")


@pytest.fixture(scope="module", params=["whole", "cells"])
def run(request, tmp_path_factory):
    """Shapes and captions; and the same as if nothing was known of training, so that rows are found by their cells."""
    folder = tmp_path_factory.mktemp("parts")
    run = Run.fit(
        write_things(folder), out=folder / "run", method="cca", ridge=0.5, n_components=6, holdout=0.2,
        allow_duplicates=True,
    )  # fmt: skip
    if request.param == "cells":
        run.__dict__["known"] = None
    return run


def rows(hits):
    return [hit.row for hit in hits]


def test_parts_are_the_same_question_as_arguments(run):
    picture = run.path.parent / "thing01.png"
    same = [
        ([{"text": "circle"}, {"text": "red", "sign": -1}], {"query": "circle", "minus": "red"}),
        ([{"text": "bar"}, {"file": str(picture)}], {"query": {"text": "bar", "image": picture}}),
        ([{"row": 12}], {"like": 12}),
        ([{"row": 12}, {"row": 3, "sign": -1}], {"like": [12], "minus": 3}),
        ([{"text": "bar", "view": "caption"}], {"query": "bar"}),
    ]
    for parts, arguments in same:
        assert run.search(parts, k=60) == run.search(**arguments, k=60)


def test_what_is_like_a_row_is_found_without_it(run):
    hits = run.search(like=12, k=100)  # a red circle
    assert 12 not in rows(hits)
    assert len(set(rows(hits))) == len(hits) == 59
    assert run.items([hits[0].row])[0].title == run.items([12])[0].title


def test_several_questions_are_answered_as_one_by_one(run):
    picture = Path(run.path.parent / "thing01.png")
    queries = ["a red circle", picture, [{"row": 5}], "blue bar", {"text": "bar", "image": picture}]
    for hits, query in zip(run.search_many(queries, k=7), queries, strict=True):
        alone = run.search(query, k=7)
        assert rows(hits) == rows(alone)
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in alone], abs=1e-5)
    assert run.search_many([]) == []


@pytest.mark.parametrize("query", ["red", Path("thing00.png")])
def test_a_row_is_one_hit_and_pictures_come_first(run, query):
    query = run.path.parent / query if isinstance(query, Path) else query
    hits = run.search(query, k=1000)
    assert len(set(rows(hits))) == len(hits)
    assert hits[0].view in ("photo", "whole row")


@pytest.mark.parametrize(
    "parts",
    [
        [{"text": "red", "sign": 2}],
        [{"text": 3}],
        [{"row": "3"}],
        [{"row": 1000}],
        [{"sign": 1}],
        [{"text": "red", "row": 3}],
        [{"text": "red", "sign": -1}],
    ],
)
def test_parts_of_another_form_are_refused(run, parts):
    with pytest.raises(UsageError):
        run.search(parts)
