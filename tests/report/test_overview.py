"""The short table of numbers: what it holds, and that a terminal shows it."""

import pytest

from bouba.report.overview import WIDTH, overview


def record(method, value, **more):
    base = {"split": "known", "domain": "openmoji", "direction": "en->image", "metric": "recall@10", "chance": 0.03}
    return {**base, "method": method, "value": value, "low": value - 0.05, "high": value + 0.05, "n": 300} | more


def lines(records, *args, **options):
    return [line.split("  ") for line in overview(records, *args, **options).splitlines()]


def test_each_number_stands_with_its_interval_its_chance_and_the_size_of_the_gallery():
    found = [line.split() for line in overview([record("clip", 0.3), record("clip", 0.214, metric="mrr")]).splitlines()]
    assert found[1] == ["en", "->", "image", "recall@10", "of", "300", "30%", "[25,", "35]", "3.0%"]
    assert found[2] == ["mrr", "0.21", "[0.16,", "0.26]", "0.03"]


def test_the_model_stands_first_then_its_rivals_the_best_first():
    records = [record("worst", 0.1), record("clip", 0.2), record("best", 0.5)]
    assert overview(records, "clip").splitlines()[0].split()[2:] == ["clip", "best", "worst", "chance"]
    assert overview(records).splitlines()[0].split()[2] == "best"


def test_rivals_that_do_not_fit_are_named_below_and_no_line_is_wider_than_a_terminal():
    rivals = [f"a-rather-long-name-of-a-rival-{i}" for i in range(9)]
    text = overview([record("clip", 0.9), *(record(name, 0.1) for name in rivals)], "clip", rest="--all")
    assert max(map(len, text.splitlines())) <= WIDTH
    header = text.splitlines()[0]
    assert "clip" in header
    assert rivals[0] in header
    assert rivals[-1] not in header
    assert f"not shown: {rivals[1]}" in text.replace("\n", " ")
    assert "all numbers: --all" in text.replace("\n", " ")


def test_numbers_that_are_little_known_are_left_out_where_there_are_known_ones():
    records = [record("clip", 0.3), record("clip", 0.4, metric="recall@5"), record("clip", 8.0, metric="median_rank")]
    records += [
        record("clip", 0.8, direction=direction, metric="kind_accuracy")
        for direction in ("all", "only words", "without words", "image")
    ]
    text = overview(records, "clip")
    assert text.count("kind_accuracy") == 2
    assert not any(name in text for name in ("recall@5", "median_rank", "only words", "without words"))
    assert "recall@5" in overview(records[1:2], "clip")


def test_errors_of_numbers_are_in_their_unit():
    records = [record("mlp", 12.34, metric="price_mae", direction="all", low=11.0, high=13.5, chance=20.0)]
    assert "price_mae  12.3 [11, 13.5]      20" in overview(records, "mlp")


def test_of_many_domains_all_of_them_together_and_the_target_are_shown():
    records = [record("clip", 0.3, domain=domain) for domain in ("all", "a", "b")]
    assert [line[0] for line in lines(records, "clip", target="b")[1:3]] == ["all", "b"]
    assert overview(records, "clip").startswith("direction")


def test_of_many_domains_apart_the_largest_and_the_target_are_shown_and_the_rest_are_named():
    records = [record("clip", 0.3, domain=name, n=n) for name, n in [("a", 9), ("b", 1), ("c", 7), ("d", 8), ("e", 2)]]
    text = overview(records, "clip", target="b")
    assert [line.split()[0] for line in text.splitlines()[1:5]] == ["a", "b", "c", "d"]
    assert "not shown: the domains e" in text


@pytest.mark.parametrize(("directions", "shown"), [(6, True), (7, False)])
def test_of_many_directions_only_the_recall_is_shown(directions, shown):
    records = [
        record("clip", 0.3, direction=f"a->{i}", metric=metric)
        for i in range(directions)
        for metric in ("recall@10", "mrr")
    ]
    assert ("mrr" in overview(records, "clip")) is shown


def test_nothing_measured_is_said():
    assert overview([]) == "no numbers"
