"""Table encoder: numbers standardised, gaps flagged, categories embedded, each by an explicit loop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bouba
from bouba import Learner, Views
from bouba.errors import DataError, UsageError
from bouba.terms import SupervisedContrastive
from bouba.towers import Tabular

ROWS = [
    {"age": 20, "city": "Bonn", "height": 1.5, "code": 3},
    {"age": 30, "city": "Köln", "height": None, "code": 3},
    {"age": 40, "city": None, "height": 1.7, "code": 7},
    {"age": 50, "city": "Bonn", "height": float("nan"), "code": 7},
]
PLAIN = Tabular(hidden=(), embedding=3, categories=("code",), drop=0.0)


def built(spec=PLAIN, rows=ROWS):
    torch.manual_seed(0)
    return spec.build(spec.learn(rows)).eval()


def features(encoder, rows):
    with torch.no_grad():
        return encoder(**encoder.prepare(rows))


def test_definition_of_the_features():
    encoder = built()
    ages, heights = np.array([20, 30, 40, 50]), np.array([1.5, 1.7])
    cities, codes = ["Bonn", "Köln"], ["3", "7"]
    for row, found in zip(ROWS, features(encoder, ROWS)):
        expected = [(row["age"] - ages.mean()) / ages.std()]
        gap = row["height"] is None or np.isnan(row["height"])
        expected.append(0.0 if gap else (row["height"] - heights.mean()) / heights.std())
        expected += [0.0, float(gap)]
        of_city = 0 if row["city"] is None else 2 + cities.index(row["city"])
        of_code = 2 + len(cities) + 2 + codes.index(str(row["code"]))
        expected += encoder.embed.weight[of_city].tolist() + encoder.embed.weight[of_code].tolist()
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32))
    assert encoder.width == 2 * 2 + 2 * 3


def test_definition_of_what_a_decoder_gives_back():
    encoder = built()
    raw = encoder.raw(encoder.prepare(ROWS))
    assert raw.shape == (4, encoder.raw_width) == (4, 2 + 2 + 2)
    root = 2**0.5
    torch.testing.assert_close(raw[0, 2:], torch.tensor([root, 0, root, 0]))  # Bonn, 3
    torch.testing.assert_close(raw[2, 2:], torch.tensor([0, 0, 0, root]))  # no city, 7
    torch.testing.assert_close(raw[:, 0], features(encoder, ROWS)[:, 0])
    assert raw[1, 1] == raw[3, 1] == 0


def test_a_number_that_is_its_mean_is_not_a_gap():
    encoder = built()
    mean, gap = features(encoder, [{"height": 1.6}, {"height": None}])
    torch.testing.assert_close(mean[:2], gap[:2], atol=1e-6, rtol=0)
    assert (mean[3], gap[3]) == (0, 1)


def test_what_training_never_showed_says_nothing():
    encoder = built()
    assert features(encoder, [{"city": "Ulm"}])[0, 4:7].tolist() == [0, 0, 0]
    no_age, no_code = features(encoder, [{"code": 3}, {"age": 35}])
    assert no_age[2] == 0  # age was never blank: its flag stays down, it counts as the mean
    assert no_code[7:].tolist() == [0, 0, 0]
    taught = built(Tabular(hidden=(), embedding=3, categories=("code",), drop=0.1))
    assert features(taught, [{"code": 3}])[0, 2] == 1
    varied = [taught.vary(taught.prepare(ROWS)) for _ in range(200)]
    for part, gappy in (("blank", [False, True]), ("codes", [True, False])):  # only whole columns lose cells
        changed = torch.stack([v[part] != taught.prepare(ROWS)[part] for v in varied]).any((0, 1)).tolist()
        assert changed == [not gap for gap in gappy]


def test_rare_categories_share_the_code_of_the_unknown():
    rows = [{"c": "a"}] * 5 + [{"c": "b"}] * 3 + [{"c": "rare"}]
    encoder = built(Tabular(classes=2), rows)
    codes = encoder.prepare([{"c": c} for c in ("a", "b", "rare", "new", None)])["codes"][:, 0]
    assert codes.tolist() == [2, 3, 1, 1, 0]


@given(st.floats(-1e4, 1e4), st.floats(0.01, 1e4))
@settings(max_examples=30, deadline=None)
def test_law_units_do_not_matter(shift, scale):
    other = [{**row, "age": row["age"] * scale + shift} for row in ROWS]
    torch.testing.assert_close(features(built(rows=other), other), features(built(), ROWS), rtol=1e-4, atol=1e-4)


@given(st.permutations(list(ROWS[0])))
@settings(max_examples=20, deadline=None)
def test_law_the_order_of_the_columns_in_a_cell_does_not_matter(names):
    encoder = built()
    shuffled = [{name: row[name] for name in names} for row in ROWS]
    assert torch.equal(features(encoder, shuffled), features(encoder, ROWS))


def test_law_a_gap_may_be_left_out_and_what_is_blank_is_never_read():
    encoder = built(Tabular(hidden=(4,), dropout=0.0))
    short = [{k: v for k, v in row.items() if v is not None and v == v} for row in ROWS]
    assert torch.equal(features(encoder, short), features(encoder, ROWS))
    inputs = encoder.prepare(ROWS)
    spoilt = {**inputs, "values": inputs["values"].masked_fill(inputs["blank"], 1e6)}
    assert torch.equal(encoder(**spoilt), encoder(**inputs))
    assert torch.equal(encoder.raw(spoilt), encoder.raw(inputs))


def test_numbers_without_a_gap_are_read_from_vectors_too():
    rows = [{"a": 1, "b": None}, {"a": 3, "b": 5}, {"a": 2, "b": 9}]
    encoder = built(Tabular(hidden=(4,)), rows)
    assert torch.equal(features(encoder, [np.array([3.0, 5.0])]), features(encoder, rows[1:2]))


def test_dropped_cells_are_flagged_and_masked_ones_come_from_other_rows():
    rows = [{"n": float(i), "c": "ab"[i % 2]} for i in range(400)]
    encoder = built(Tabular(drop=0.3), rows)
    inputs = encoder.prepare(rows)
    torch.manual_seed(0)
    varied = encoder.vary(inputs)
    # 400 draws of 0.3: standard error 0.023; four of them
    assert varied["blank"].float().mean() == pytest.approx(0.3, abs=0.092)
    assert (varied["codes"] == 0).float().mean() == pytest.approx(0.3, abs=0.092)
    gap = built(Tabular(mask=0.5, drop=0.0), [{"n": None, "c": "a"}, *rows])
    inputs = gap.prepare([{"n": None, "c": "a"}, *rows])
    varied = gap.vary(inputs)
    assert not torch.equal(varied["values"], inputs["values"])
    there = set(inputs["values"][~inputs["blank"]].tolist())
    assert set(varied["values"][~varied["blank"]].tolist()) <= there  # a gap moves as a gap
    assert set(varied["codes"].flatten().tolist()) == {2, 3}
    noisy = built(Tabular(noise=0.5, drop=0.0), rows)
    inputs = noisy.prepare(rows)
    # standard deviation of 400 draws is known to 0.5 / sqrt(800) = 0.018; four of them
    assert (noisy.vary(inputs)["values"] - inputs["values"]).std() == pytest.approx(0.5, abs=0.07)


def test_recovery_gaps_and_categories_say_what_filled_in_numbers_do_not(tmp_path):
    """The class is whether a number is blank, xor a category: standardised numbers with the mean filled in guess."""
    random = np.random.default_rng(0)
    blank, red = random.random((2, 160)) < 0.5
    rows = [
        {"n": None if b else float(random.normal()), "m": float(random.normal()), "c": "red" if r else "blue"}
        for b, r in zip(blank, red)
    ]
    labels, train = np.where(blank ^ red, "odd", "even"), np.arange(160) < 110
    views = Views({"t": rows}, kinds={"t": "table"}, y={"which": labels})
    learner = Learner({"t": Tabular((64,))}, SupervisedContrastive("which"), dim=4, epochs=60, batch_size=32, lr=1e-2)
    model = learner.fit(views[train])
    z = model.embed(views)["t"]
    filled = np.array([[0.0 if row["n"] is None else row["n"], row["m"]] for row in rows])
    assert nearest_mean(z, labels == "odd", train) > 0.95
    assert nearest_mean(filled, labels == "odd", train) < 0.7
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(bouba.load(tmp_path / "model").embed(views)["t"], z)


def nearest_mean(rows, labels, train):
    """Accuracy on the rows that are not in `train`."""
    far = [((rows - rows[train & (labels == which)].mean(0)) ** 2).sum(1) for which in (False, True)]
    return ((far[1] < far[0]) == labels)[~train].mean()


def test_default_towers_align_tables_with_texts():
    rows = [{"size": float(i), "shape": "round"} if i % 3 else None for i in range(40)]
    views = Views({"t": rows, "said": [f"number {i}" for i in range(40)]}, kinds={"t": "table", "said": "text"})
    z = bouba.CLIP(dim=4, epochs=1).fit(views).embed(views)
    assert not z["t"][0].any()
    assert z["t"][1].any()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"aeg": 3}, "the model has no column 'aeg' of a table; did you mean 'age'"),
        ({"age": "old"}, "column 'age' of a table held numbers in training, got 'old'"),
        (np.zeros(2), "a row of a table with age, height, city, code is needed, got array"),
    ],
)
def test_refusals_of_cells(row, message):
    with pytest.raises(DataError, match=message):
        built().prepare([row])


def test_a_column_that_was_blank_in_training_is_not_read():
    rows = [{"a": float(i), "late": None} for i in range(3)]
    encoder = built(Tabular(hidden=()), rows)
    assert encoder.width == 2
    assert torch.equal(features(encoder, [{"a": 1.0, "late": 5}]), features(encoder, [{"a": 1.0}]))


def test_refusals_of_settings():
    with pytest.raises(UsageError, match="drop is a share, 0 or more and below 1, got 1"):
        Tabular(drop=1.0)
    with pytest.raises(UsageError, match="mask is a share"):
        Tabular(mask=-0.1)
    with pytest.raises(UsageError, match=r"embedding and classes 1 or more; got 0\.0, 0 and 100"):
        Tabular(embedding=0)
    with pytest.raises(UsageError, match="no column 'cod' for categories; did you mean 'code'"):
        Tabular(categories=("cod",)).learn(ROWS)
    names = [{"name": f"number {i}"} for i in range(300)]
    with pytest.raises(UsageError, match=r"column 'name' of a table holds 300 different texts in 300 cells.*as text"):
        Tabular().learn(names)
