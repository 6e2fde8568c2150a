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


def test_endings_are_those_that_the_decoders_know():
    """Every ending of a picture format of the list, and no other, marks a picture in a folder; so with sounds."""
    import soundfile
    from PIL import Image

    from bouba.data.decode.pictures import FORMATS

    known = {ending for ending, form in Image.registered_extensions().items() if form in FORMATS}
    other = {".bw", ".rgb", ".rgba", ".icb", ".vda", ".vst"}  # seldom, and of other things too
    assert set(FILES["image"]) == known - other
    formats = {ending[1:].upper() for ending in FILES["audio"]}
    renamed = {"WAVE": "WAV", "OGA": "OGG", "OPUS": "OGG", "AIF": "AIFF", "AIFC": "AIFF", "SND": "AU", "SPH": "NIST"}
    assert {renamed.get(name, name) for name in formats} <= set(soundfile.available_formats())


def test_a_folder_finds_every_ending_in_any_case(tmp_path, png):
    import bouba

    for number, ending in enumerate(FILES["image"]):
        (tmp_path / f"{number}{ending.upper()}").write_bytes(png())
    assert len(bouba.read(tmp_path)) == len(FILES["image"])
