"""The bench of few pairs: its directions, offsets, oracle and refusals are what they are called, in small."""

import numpy as np
import pytest

from bouba.bench import few_pairs as bench
from bouba.data.views import Views
from bouba.errors import UsageError
from bouba.evaluation import Result

JUDGED = 40


def pairs(n, seed=0, noise=0.3):
    """n rows of two views that show the same four hidden numbers."""
    random = np.random.default_rng(seed)
    turns = np.random.default_rng(99).normal(size=(2, 4, 12))
    hidden = random.normal(size=(n, 4))
    views = [hidden @ turn + noise * random.normal(size=(n, 12)) for turn in turns]
    features = Views(dict(zip(bench.TOWERS, views)), key=np.arange(n))
    return bench.Pairs(features, features)


def test_definition_recall_counts_partners_among_the_ten_best():
    random = np.random.default_rng(1)
    z = dict(zip(bench.TOWERS, random.normal(size=(2, JUDGED, 3))))
    offsets = {"image": random.normal(size=JUDGED)}
    hits = {"en->image": 0, "image->en": 0}
    a, b = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in z.values())
    for row in range(JUDGED):
        to_image = [b[row] @ a[cell] - offsets["image"][cell] / 2 for cell in range(JUDGED)]
        to_text = [a[row] @ b[cell] for cell in range(JUDGED)]
        hits["en->image"] += sum(score > to_image[row] for score in to_image) < 10
        hits["image->en"] += sum(score > to_text[row] for score in to_text) < 10
    assert bench.recall_of(z, offsets) == pytest.approx({name: count / JUDGED for name, count in hits.items()})


def test_means_are_over_directions_for_each_seed():
    values = {0: {"a->b": 0.2, "b->a": 0.4}, 1: {"a->b": 0.6, "b->a": 0.6}}
    result = Result([])
    for seed, of in values.items():
        result = result + bench._records("cca-zoo", [(way, bench.RECALL, x) for way, x in of.items()], 9, JUDGED, seed)
    assert bench.recall(result, "cca-zoo", "9 pairs") == pytest.approx({0: 30, 1: 60})


def test_every_fixed_setting_stands_twice_and_finds_what_is_there():
    found = bench.single_candidates(pairs(120), pairs(JUDGED, seed=1), 0)
    assert len({record.method for record in found}) == 2 * sum(map(len, bench.FAMILIES.values())) == len(found)
    for record in found:
        assert record.chance == 10 / JUDGED
        assert record.value > 2 * record.chance, record.method


@pytest.mark.parametrize("name", [bench.FEW_PAIRS, "cca alone", "asif alone", "linear heads"])
def test_recovery_pairs_teach_and_shuffled_ones_do_not(name):
    fit, judged = bench.chosen_fits([name])[name], pairs(JUDGED, seed=1)
    training = pairs(120)
    mixed = Views({"image": training.features["image"], "en": training.features["en"].take(np.roll(np.arange(120), 1))})
    recalls = []
    for rows in (training, bench.Pairs(mixed, mixed)):
        result = bench.measured(name, fit, rows, judged, 0)
        recalls.append(bench.recall(result, name, "120 pairs")[0])
        assert result.value(metric=bench.SECONDS).value > 0
    assert recalls[0] > 80 > recalls[1] + 20


def test_the_command_prints_both_tables_and_keeps_every_seed(monkeypatch, kept_by):
    monkeypatch.setattr(bench, "drawn", lambda seed: (pairs(60, seed, 2.0), pairs(JUDGED, seed + 10, 2.0)))
    options = ["--seeds", "2", "--pairs", "20", "--pairs", "60", "--method", bench.FEW_PAIRS, "--method", "pls alone"]
    result = kept_by(bench, *options).measured
    assert len(result.where(method="pls alone", split="60 pairs", metric=bench.RECALL)) == 4, "seeds and directions"
    tables = bench.tables(result)
    labels = [line[0] for line in tables["recall"].lines]
    assert labels == [
        bench.FEW_PAIRS,
        "pls alone",
        bench.BEST,
        f"{bench.FEW_PAIRS} less best family alone",
        f"{bench.FEW_PAIRS} less {bench.BEST}",
    ]
    assert [line[0] for line in tables["seconds"].lines] == labels[:2]
    singles = {r.method for r in result if r.method.startswith(bench.SINGLE)}
    means = {name: np.mean(list(bench.recall(result, name, "20 pairs").values())) for name in singles}
    best = bench.SINGLE + tables["recall"].note.partition("20 pairs ")[2].partition(";")[0]
    assert means[best] == max(means.values()) > min(means.values())
    assert tables["recall"].lines[2][1].startswith(f"{means[best]:.1f} [")
    monkeypatch.setattr(bench, "single_candidates", None)  # nothing is measured again
    monkeypatch.setattr(bench, "recall_of", None)
    assert kept_by(bench, *options).measured == result


def test_refusal_of_methods_and_numbers_of_pairs():
    with pytest.raises(UsageError, match="no method 'few-pair'; did you mean 'few-pairs'"):
        bench.chosen_fits(["few-pair"])
    with pytest.raises(UsageError, match="5000 pairs cannot be drawn; between 2 and 1,275 can"):
        bench.refuse_sizes((50, 5000), 1275)


def test_a_library_that_is_missing_is_left_out(monkeypatch):
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    assert "cca-zoo" not in bench.chosen_fits(None)
    assert {bench.FEW_PAIRS, bench.SCRATCH, *(f"{family} alone" for family in bench.FAMILIES)} <= set(
        bench.chosen_fits(None)
    )
