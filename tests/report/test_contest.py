"""Who is ahead: a baseline that beats the model is named first, with the paired interval and what to do."""

import pytest

from bouba.evaluation.differences import Difference
from bouba.report.contest import Contest
from bouba.report.headline import headline, lead, summary
from bouba.report.scores import read_rows


def record(method, value, low=None, high=None, **more):
    base = {"split": "known", "direction": "en->image", "metric": "recall@10", "chance": 0.03}
    return base | {"method": method, "value": value, "low": low, "high": high} | more


INSTEAD = {"few-pairs": "Take it instead: --method few-pairs."}
TITLES = {"clip": ("CLIP", ""), "few-pairs": ("Few pairs", "")}


def difference(value, low, high, metric="recall@10", **more):
    fields = {"method": "clip", "rival": "few-pairs", "domain": "", "direction": "en->image", "p": 0.1, "n": 90}
    return Difference(**{**fields, "metric": metric, "value": value, "low": low, "high": high, **more})


def said(records, *differences):
    return summary(records, methods=TITLES, contest=Contest("clip", differences, INSTEAD))


BEATEN = [record("clip", 0.4), record("few-pairs", 0.5)]


@pytest.mark.parametrize(
    ("differences", "opening"),
    [
        (
            [difference(-0.1, -0.18, -0.02)],
            "A baseline, Few pairs, beats CLIP by 10.0 points (95% interval 2.0 to 18.0, the same 90 rows). "
            "Take it instead: --method few-pairs. Given English words, Few pairs puts",
        ),
        (
            [difference(-0.1, -0.25, 0.05)],
            "CLIP is no better than a baseline: Few pairs is ahead by 10.0 points (95% interval -5.0 to 25.0, the same "
            "90 rows), perhaps by chance. Take it instead",
        ),
        ([], "A baseline, Few pairs, does better than CLIP. Take it instead"),
        ([difference(-0.1, -0.18, -0.02, domain="other")], "A baseline, Few pairs, does better than CLIP. "),
    ],
)
def test_a_baseline_that_is_ahead_is_said_in_the_first_sentence(differences, opening):
    assert said(BEATEN, *differences).startswith(opening)


def test_a_model_that_is_ahead_or_level_needs_no_warning():
    assert said([record("clip", 0.6), record("few-pairs", 0.5)]).startswith("Given English words, CLIP puts")
    assert said([record("clip", 0.5), record("few-pairs", 0.5)]).startswith("Given English words, CLIP puts")
    several = summary(BEATEN, methods=TITLES)  # a page about no model in particular
    assert several.startswith("Given English words, Few pairs puts")


def test_the_verdict_is_by_paired_differences_where_there_are_some():
    overlapping = [record("clip", 0.6, 0.5, 0.7), record("few-pairs", 0.55, 0.45, 0.65)]
    for differences, verdict in (
        ([], "The ranges of CLIP and Few pairs overlap: too close to call."),
        (
            [difference(0.05, 0.02, 0.08)],
            "CLIP is ahead of Few pairs by 5.0 points (95% interval 2.0 to 8.0, the same 90 rows).",
        ),
        (
            [difference(0.05, -0.02, 0.12)],
            "CLIP and Few pairs cannot be told apart: they differ by 5.0 points (95% interval -2.0 to 12.0, the same "
            "90 rows).",
        ),
    ):
        [tile] = headline(read_rows(overlapping), methods=TITLES, contest=Contest("clip", differences))
        assert tile.verdict == verdict


def test_numbers_are_compared_by_their_mean_error():
    row = {"direction": "all", "metric": "price_r2", "chance": -0.01, "domain": ""}
    records = [record("clip", 0.4, **row), record("few-pairs", 0.5, **row)]
    worse = difference(0.8, 0.2, 1.4, metric="price_mae", direction="all")
    assert said(records, worse).startswith(
        "A baseline, Few pairs, beats CLIP by 0.8 of mean error (95% interval 0.2 to 1.4, the same 90 rows)."
    )


def test_a_search_says_of_how_many_and_what_it_would_be_of_a_thousand():
    records = [
        record("clip", 0.78, n=72),
        record("few-pairs", 0.6, n=72),
        record("clip", 0.31, 0.24, 0.38, metric="recall@10_of_1000", n=72),
        record("few-pairs", 0.2, 0.1, 0.3, metric="recall@10_of_1000", n=72),
    ]
    contest = Contest("clip")
    [tile] = headline(read_rows(records), methods=TITLES, contest=contest)
    assert lead([tile], TITLES, contest).endswith(
        "There were 72 to choose from; among 1,000 it would be about 31% (24 to 38%)."
    )
    beaten = [*records, record("late", 0.8, n=72), record("late", 0.35, metric="recall@10_of_1000", n=72)]
    assert said(beaten).endswith("among 1,000 it would be about 35% for late and 31% (24 to 38%) for CLIP.")
    few = [record("clip", 0.9, n=30)]
    assert said(few).endswith("There were 30 to choose from, too few to say what it would be among 1,000.")
    assert said([record("clip", 0.9, n=5000)]).endswith("There were 5,000 to choose from.")
