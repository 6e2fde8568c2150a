"""Whether a model is good enough and what would help: each sentence from the measurements that call for it."""

import pytest

from bouba.evaluation.differences import Difference
from bouba.report.advice import Evidence, advice, still_falling
from bouba.report.contest import Contest

TASK = {"domain": "all", "direction": "en->image", "metric": "recall@10"}


def record(method, value, width=0.1, **more):
    base = TASK | {"split": "test", "chance": 0.02, "n": 500, "low": value - width / 2, "high": value + width / 2}
    return base | {"method": method, "value": value} | more


def difference(rival, value, low, high):
    return Difference("clip", rival, *TASK.values(), value=value, low=low, high=high, p=0.1, n=500)


def said(value, *, width=0.1, rivals=(), differences=(), chance=0.02, **evidence):
    records = [record("clip", value, width, chance=chance), *rivals]
    return advice(records, Contest("clip", differences), Evidence(pairs=900, **evidence))


HELP = "The model is good enough to help a person, not to be relied on alone: 45 to 55%. "
FALLING = [{"epoch": i, "validation": 5 - i / 10} for i in range(20)]
FLAT = [{"epoch": i, "validation": max(2.0, 5 - i)} for i in range(20)]


def test_a_good_model_needs_no_help():
    assert said(0.95, history=FALLING) == "The model is good enough to rely on: 90 to 100% of rows like these."


@pytest.mark.parametrize(
    ("value", "chance", "opening"),
    [
        (0.5, 0.02, HELP),
        (0.2, 0.02, "The model is not good enough yet: 15 to 25%. "),
        (0.04, 0.02, "The model is not good enough: -1 to 9% is no better than blind choice. "),
        (0.9, 0.84, "The model is good enough to help a person"),  # where always the same is right in 84%
    ],
)
def test_what_is_good_enough_is_counted_from_chance(value, chance, opening):
    assert said(value, chance=chance).startswith(opening)


def test_a_wide_interval_says_only_that_more_rows_are_to_be_held_out():
    text = said(0.6, width=0.4, history=FALLING)
    assert text.startswith(
        "Whether the model is good enough cannot be said: 500 rows were judged, and the range is 40 "
    )
    assert "--holdout" in text
    assert "Longer" not in text


def test_a_baseline_that_is_clearly_ahead_is_said_and_one_that_is_perhaps_ahead_is_not():
    rivals = [record("few-pairs", 0.6)]
    behind = said(0.5, rivals=rivals, differences=[difference("few-pairs", -0.1, -0.15, -0.05)])
    assert behind == "The model is not good enough: a baseline does better."
    assert said(0.5, rivals=rivals, differences=[difference("few-pairs", -0.1, -0.2, 0.01)]).startswith(HELP)


def test_more_rows_help_where_half_of_them_gave_less():
    text = said(0.5, half=[difference("half", 0.08, 0.04, 0.12)], solved=True)
    assert text == HELP + "More rows would help most: it learnt from 900, and got 42% with half of them, 50% with all."


def test_more_rows_bring_little_where_half_of_them_did_as_well():
    text = said(0.5, half=[difference("half", 0.0, -0.02, 0.02)], solved=True)
    assert text.startswith(HELP + "More rows of this kind would bring little, as half of the 900 did about as well")
    unclear = said(0.5, half=[difference("half", 0.02, -0.03, 0.07)], solved=True)
    assert unclear == HELP + "What would help most cannot be said from what was measured."


def test_longer_training_helps_where_validation_still_falls():
    assert said(0.5, history=FALLING).startswith(HELP + "Longer training would help most")
    assert "Longer" not in said(0.5, history=FLAT)


def test_more_rows_help_where_new_rows_are_harder_than_those_of_training():
    text = said(0.5, seen=[record("clip", 0.9)], history=FLAT)
    assert text.endswith("it is right for 90% of rows that it learnt from and 50% of new ones.")
    elsewhere = said(0.5, seen=[record("clip", 0.9, direction="image->en")], history=FLAT)
    assert elsewhere == HELP + "What would help most cannot be said from what was measured."


@pytest.mark.parametrize(
    ("evidence", "what"),
    [
        ({}, "longer training or other encoders"),
        ({"solved": True}, "other encoders"),
        ({"history": FLAT}, "other encoders"),
    ],
)
def test_a_model_that_does_not_know_its_own_rows_needs_another_one(evidence, what):
    text = said(0.5, seen=[record("clip", 0.52)], **evidence)
    assert text == HELP + f"It is no better on rows that it learnt from (52%), so {what} would help most."


def test_without_evidence_nothing_is_made_up():
    assert said(0.5).endswith("cannot be said from what was measured; with --validation 0.1 it would be known whether "
                              "longer training does.")  # fmt: skip
    assert advice([], Contest("clip"), Evidence()) == ""
    assert advice([record("other", 0.5)], Contest("clip"), Evidence()) == ""


def test_a_course_takes_some_epochs_to_be_seen():
    assert still_falling(FALLING) is True
    assert still_falling(FLAT) is False
    assert still_falling(FALLING[:4]) is None
    assert still_falling([{"epoch": 1, "loss": 3.0}] * 20) is None
    assert still_falling([{"validation": value} for value in (1, 2, 3, 4, 5, 6)]) is False
