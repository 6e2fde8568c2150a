"""Rows -> batches: cells, masks and codes as an explicit loop gives them; an epoch is a partition of the rows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.data import Views, prepared
from bouba.data.batches import Batches
from bouba.data.loader import Codes, Rows, Shuffled, encode
from bouba.errors import UsageError
from bouba.towers import MLP, NGrams

TEXTS = ["one", None, "a much longer text, three", "", "five"]


@pytest.fixture
def views():
    return Views(
        {"v": [[1.0, 2.0], [3.0, 4.0], None, [5.0, 6.0], None], "t": TEXTS},
        kinds={"v": "vector", "t": "text"},
        y={"kind": ["b", "a", None, "b", "new"]},
        domain=["x", "y", "x", None, "y"],
        key=["k", None, "k", "l", "m"],
    )


@pytest.fixture
def encoders():
    return {"v": MLP().build({"mean": [0.0, 0.0], "scale": [1.0, 1.0]}), "t": NGrams(buckets=50, width=4).build({})}


@pytest.mark.parametrize("memory", [0, 2 << 30])
def test_definition(views, encoders, memory):
    codes = Codes(("x", "y"), {"kind": ("a", "b")})
    batch = Rows(views, encoders, codes, memory=memory).batch(torch.tensor([4, 2, 0]))
    assert batch.present["v"].tolist() == [False, False, True]
    assert batch.inputs["v"]["values"].tolist() == [[0, 0], [0, 0], [1, 2]]
    for place, text in enumerate(("five", "a much longer text, three", "one")):
        grams = encoders["t"].prepare([text])["grams"][0]
        assert torch.equal(batch.inputs["t"]["grams"][place, : len(grams)], grams)
        assert not batch.inputs["t"]["grams"][place, len(grams) :].any()
    assert batch.domain.tolist() == [1, 0, 0]
    assert batch.y["kind"].tolist() == [-1, -1, 1]
    assert batch.key[1] == batch.key[2] != batch.key[0]
    assert batch.rows.tolist() == [4, 2, 0]


def test_missing_cells_are_zero_and_codes_minus_one(views, encoders):
    codes = Codes.of(views)
    assert (codes.domains, codes.classes) == (("x", "y"), {"kind": ("a", "b", "new")})
    batch = Rows(views, encoders, codes, memory=0).batch(torch.tensor([1, 3]))  # neither has a text
    assert not batch.inputs["t"]["grams"].any()
    assert not batch.present["t"].any()
    assert batch.key.tolist()[0] == -1
    assert batch.domain.tolist() == [1, -1]
    assert encode(np.array(["a", "z", None], object), ["a"]).tolist() == [0, -1, -1]


def test_rows_too_large_for_memory_and_disk_are_not_cached(views, encoders, monkeypatch, tmp_path):
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path))
    monkeypatch.setattr(prepared, "SHARE", 0)
    assert set(Rows(views, encoders, Codes()).cached) == {"v", "t"}
    assert set(Rows(views, encoders, Codes(), memory=100).cached) == {"v"}


def test_a_view_with_no_cell_has_no_inputs(views, encoders):
    batch = Rows(views[[2, 4]], encoders, Codes()).batch(torch.tensor([0, 1]))
    assert batch.inputs["v"] == {}
    assert not batch.present["v"].any()


def test_workers_give_the_same_batches(views, encoders):
    rows = Rows(views, encoders, Codes(), memory=0)
    stretches = [[3, 0, 1], [4], [0, 1, 2, 3, 4]]
    batches = {count: Batches(rows, stretches, torch.device("cpu"), workers=count) for count in (0, 1, 2)}
    for count in (1, 2):
        with batches[count] as theirs:
            for _ in range(2):
                for one, other, numbers in zip(batches[0], theirs, stretches, strict=True):
                    for name in ("v", "t"):
                        assert one.inputs[name].keys() == other.inputs[name].keys()
                        assert all(torch.equal(one.inputs[name][p], other.inputs[name][p]) for p in one.inputs[name])
                        assert torch.equal(one.present[name], other.present[name])
                    assert one.rows.tolist() == other.rows.tolist() == numbers


@given(st.integers(1, 50), st.integers(1, 9), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_law_rows_once_an_epoch_but_a_last_batch_below_half(n, size, epoch):
    sampler = Shuffled(n, size, seed=1)
    sampler.epoch = epoch
    batches = list(sampler)
    drawn = [row for batch in batches for row in batch]
    assert len(batches) == len(sampler)
    assert len(drawn) == len(set(drawn))
    left_out = n - len(drawn)
    assert left_out == 0 if n <= size or n % size * 2 >= size else left_out == n % size


@given(st.integers(4, 40), st.integers(1, 4), st.booleans())
@settings(max_examples=40, deadline=None)
def test_law_ranks_partition_the_batch(n, world, with_target):
    target = np.arange(n) >= n - 2 if with_target else None
    parts = [list(Shuffled(n, 8, seed=3, target=target, target_size=3, rank=r, world=world)) for r in range(world)]
    for number, whole in enumerate(Shuffled(n, 8, seed=3, target=target, target_size=3)):
        assert sorted(row for part in parts for row in part[number]) == sorted(whole)


def test_every_process_has_a_row_in_every_batch():
    by_rank = [list(Shuffled(5, 2, seed=0, rank=rank, world=2)) for rank in range(2)]
    assert [list(map(len, batches)) for batches in by_rank] == [[1, 1], [1, 1]]  # the fifth row would be one process's
    with pytest.raises(UsageError, match="batch_size=2 of 5 rows leaves none for some of 3 processes"):
        Shuffled(5, 2, seed=0, world=3)


def test_seed_and_epoch_decide():
    first, second, other = Shuffled(30, 10, seed=1), Shuffled(30, 10, seed=1), Shuffled(30, 10, seed=2)
    assert list(first) == list(second) != list(other)
    second.epoch = 1
    assert list(first) != list(second)


def test_target_rows_fill_and_go_round():
    target = np.arange(14) >= 12
    batches = list(Shuffled(14, 4, seed=0, target=target, target_size=3))
    assert len(batches) == 3
    assert sorted(row for batch in batches for row in batch if row < 12) == list(range(12))
    assert [sum(row >= 12 for row in batch) for batch in batches] == [3, 3, 3]
    counts = [sum(batch.count(row) for batch in batches) for row in (12, 13)]
    assert sorted(counts) == [4, 5]
    assert next(iter(Shuffled(14, 4, seed=0, target=target, target_size=0)))  # a target nobody asked for


def test_rows_that_are_fetched_in_blocks_are_mixed_a_few_blocks_at_a_time():
    batches = list(Shuffled(6400, 64, seed=0, block=20))
    assert sorted(np.concatenate(batches).tolist()) == list(range(6400))
    assert max(len(set(np.array(batch) // 20)) for batch in batches) <= 32  # of 320 blocks; at most two mixtures meet
    assert sum(len(set(np.array(batch) // 20)) for batch in Shuffled(6400, 64, seed=0)) > 50 * len(batches)
