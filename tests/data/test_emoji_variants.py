"""Which emoji are variants of one another: the file is what the script makes, and the sample gives it as group."""

import json

import numpy as np
import pytest

from bouba.data import samples
from bouba.data.split import split
from scripts import emoji_variants


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("man construction worker", "woman construction worker"),
        ("person walking: facing right", "man walking"),
        ("old woman", "older person"),
        ("red apple", "green apple"),
        ("eight-thirty", "two o’clock"),
        ("merman", "mermaid"),
        ("right arrow", "up-left arrow"),
    ],
)
def test_definition_variants_have_one_base(one, other):
    assert emoji_variants.base(one, "") == emoji_variants.base(other, "")
    assert emoji_variants.base(one, "") != emoji_variants.base("red balloon", "")


def test_alike_by_words_by_pixels_and_by_way_of_another():
    names = ["grey cat", "cat", "open box of pens", "box of pens", "sun", "ball", "moon"]
    random = np.random.default_rng(0)
    drawings = random.uniform(0, 255, (7, 30))
    drawings[5] = drawings[4] + 3.0  # sun and ball are drawn alike
    drawings[5, 0] += 20
    group = emoji_variants.variants(names, [""] * 7, [drawings])
    assert group[0] == group[1]
    assert group[2] == group[3]
    assert group[4] == group[5]
    assert len(set(group.tolist())) == 4


def test_the_file_is_what_the_script_makes():
    views = samples.emoji(styles="noto")
    names, subgroups = ([str(v) for v in values] for values in (views.meta["name_en"], views.y["subgroup"]))
    drawings = [emoji_variants.drawings_of(style) for style in samples.STYLES]
    assert emoji_variants.listed(names, [str(key) for key in views.key], subgroups, drawings) == json.loads(
        emoji_variants.FILE.read_text(encoding="utf-8")
    )


def test_no_cut_of_the_sample_parts_variants():
    views = samples.emoji()
    parts = split(views, {"train": 0.8, "test": 0.2})
    assert not set(parts["train"].group) & set(parts["test"].group)
    by_name = dict(zip(views.meta["name_en"], views.group, strict=True))
    assert by_name["man astronaut"] == by_name["woman astronaut"] == by_name["astronaut"]
    assert by_name["snowman"] != by_name["umbrella"]
    assert all(len(set(views.group[views.key == key])) == 1 for key in set(views.key[::97])), "styles share the group"
