"""Records -> rows, headline and sentences."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bouba.adapt import Diagnosis
from bouba.adapt.diagnostics import Shift
from bouba.errors import DataError
from bouba.report import Report, render
from bouba.report.headline import headline, lead
from bouba.report.scores import read_rows


def record(method, value, low=None, high=None, **more):
    base = {
        "method": method,
        "split": "known",
        "direction": "en->image",
        "metric": "recall@10",
        "chance": 0.03,
    }
    return base | {"value": value, "low": low, "high": high} | more


def row_of(*records):
    (row,) = read_rows(records)
    return row


@pytest.mark.parametrize(
    ("records", "winner"),
    [
        ([record("a", 0.5, 0.45, 0.55), record("b", 0.3, 0.25, 0.35)], "a"),
        ([record("a", 0.5, 0.35, 0.65), record("b", 0.3, 0.15, 0.45)], None),  # the ranges overlap
        ([record("a", 0.5, 0.45, 0.55), record("b", 0.3)], None),  # one range is not known
        ([record("a", 0.5, 0.45, 0.55)], None),  # nobody to beat
        ([record("a", 9, 8, 10, metric="median_rank"), record("b", 3, 2, 4, metric="median_rank")], "b"),
    ],
)
def test_a_winner_lies_clear_of_all_others(records, winner):
    assert row_of(*records).winner == winner


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.2)), min_size=2, max_size=5))
def test_law_a_winner_has_the_best_value_and_a_clear_interval(cells):
    row = row_of(*(record(f"m{i}", v, v - w, v + w) for i, (v, w) in enumerate(cells)))
    winners = [
        name
        for name, score in row.scores.items()
        if all(score.low > other.high for key, other in row.scores.items() if key != name)
    ]
    assert [row.winner] == (winners or [None])


def test_values_are_shown_in_their_own_unit():
    share, place = (
        row_of(record("a", 0.4123, 0.38, 0.441)),
        row_of(record("a", 14, 9, 20.5, metric="median_rank")),
    )
    assert (share.show(0.4123), share.interval(share.scores["a"])) == ("41.2%", "38.0–44.1%")
    assert (place.show(14), place.interval(place.scores["a"])) == ("14", "9–20.5")
    assert row_of(record("a", 1, 1, 1, metric="median_rank")).show(1) == "1"  # a place, although within [0, 1]
    assert share.show(None) == ""
    assert share.show(0.0001) == "<0.1%"


def test_seeds_become_a_mean_with_the_range_that_covers_all():
    row = row_of(record("a", 0.4, 0.3, 0.5, seed=0), record("a", 0.6, 0.5, 0.7, seed=1))
    score = row.scores["a"]
    assert (score.value, score.low, score.high, score.runs) == (0.5, 0.3, 0.7, 2)


@pytest.mark.parametrize(
    ("score", "like"),
    [
        (record("a", 0.1, 0.05, 0.2), False),
        (record("a", 0.05, 0.02, 0.2), True),
        (record("a", 0.01, 0.0, 0.02), True),
        (record("a", 0.05), False),
        (record("a", 10, 5, 20, metric="median_rank", chance=150), False),
        (record("a", 140, 120, 160, metric="median_rank", chance=150), True),
    ],
)
def test_like_chance_means_that_the_interval_does_not_clear_it(score, like):
    assert row_of(score).scores["a"].like_chance is like


def test_a_record_without_a_value_is_refused_and_nan_is_left_out():
    with pytest.raises(DataError, match="record 0 lacks method, value"):
        read_rows([{"metric": "recall@10", "value": None}])
    assert read_rows([record("a", float("nan"))]) == []


def test_the_headline_takes_words_to_pictures_in_every_split_then_naming(methods):
    records = [
        record("clip", 0.3, 0.25, 0.35, direction="image->en"),
        record("clip", 0.2, 0.15, 0.25, metric="recall@1"),
        record("clip", 0.39, 0.33, 0.44),
        record("adapted-clip", 0.55, 0.5, 0.6),
        record("clip", 0.1, 0.01, 0.2, split="new"),
        record("clip", 0.4, 0.3, 0.5, metric="group_accuracy", direction="image", chance=0.2),
        record("clip", 9, 8, 10, metric="median_rank"),
    ]
    tiles = headline(read_rows(records), methods=methods)
    assert [(tile.row.split, tile.row.metric, tile.row.direction) for tile in tiles] == [
        ("known", "recall@10", "en->image"),
        ("new", "recall@10", "en->image"),
        ("known", "group_accuracy", "image"),
    ]
    assert [tile.verdict for tile in tiles] == [
        "CLIP + DANN is ahead by more than the uncertainty of the test.",
        "Cannot be told from blind choice.",
        "Clearly better than blind choice.",
    ]
    assert lead(tiles, methods) == (
        "Given English words, CLIP + DANN puts the right picture among its first 10 results in 55% of cases; "
        "CLIP in 39%, blind choice in 3.0%."
    )


def test_a_headline_from_anything_or_nothing():
    assert headline([]) == []
    assert lead([]) == ""
    (tile,) = headline(read_rows([{"method": "my_net", "metric": "f1", "value": 0.5}]))
    assert lead([tile]) == "F1: my net 50%."
    (tile,) = headline(read_rows([{"method": "my-deep-cca", "metric": "f1", "value": 0.5}]))
    assert lead([tile]) == "F1: my deep CCA 50%."
    assert headline(read_rows([{"method": "a", "metric": "median_rank", "value": 4}])) == []


def test_the_target_comes_first_and_its_distance_from_the_source_is_told():
    records = [
        {"method": "dann", "domain": domain, "direction": "all", "metric": "kind_accuracy", "value": value}
        for domain, value in (("photo", 0.9), ("sketch", 0.7))
    ]
    shifts = tuple(Shift("picture", space, a, 0.01, 0.04, 30, 40) for space, a in (("before", 1.5), ("after", 0.25)))
    found = Diagnosis(shifts, 0.9, 0.95, (0.01, 0.09))
    page = render(Report("r", records=records, target="sketch", diagnosis=found))
    assert "names the kind right in 70% of cases on sketch, the target." in page
    assert page.index("<h3>sketch, the target</h3>") < page.index("<h3>photo</h3>")
    cells = re.findall("<td>(.*?)</td>", page[page.index('<section id="apart">') :])[:10]
    assert cells[:2] == ["without adaptation", "1.50"]
    assert cells[5:7] == ["with adaptation", "0.25"]
    assert "0.950 (95% interval of what adapting cost: +0.010 to +0.090)" in page
    alone = render(Report("r", records=records))
    assert "right in 90% of cases on photo." in alone
    assert 'id="apart"' not in alone


def test_a_tile_says_how_many_there_were_to_choose_from():
    known, unknown = (
        headline(read_rows([record("clip", 0.4, split="known", direction="en->image", metric="recall@10", **size)]))[0]
        for size in ({"n": 1666}, {})
    )
    assert (known.title, unknown.title) == ("Found in the top 10 of 1,666", "Found in the top 10")
