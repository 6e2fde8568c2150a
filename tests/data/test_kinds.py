"""The table of kinds: whoever else has to have an entry a kind has one."""

import inspect
from itertools import combinations

import bouba
from bouba.data.kinds import BLOCKS, FILES, KINDS
from bouba.learner.building import DEFAULT_TOWERS


def test_every_kind_can_be_named_and_has_a_tower():
    keywords = inspect.signature(bouba.read).parameters
    assert set(KINDS) <= set(keywords)
    assert set(DEFAULT_TOWERS) == set(KINDS)
    assert all(DEFAULT_TOWERS[name]().kind == name for name in KINDS)


def test_an_ending_says_one_kind():
    assert all(ending == ending.lower() and ending[0] == "." for endings in FILES.values() for ending in endings)
    for a, b in combinations(FILES.values(), 2):
        assert not set(a) & set(b)


def test_a_cell_without_a_decoder_has_no_fault():
    assert KINDS["text"].fault(3.5) is None
    assert "not a picture" in KINDS["image"].fault(b"")
    assert set(BLOCKS) == {"vector", "table"}
