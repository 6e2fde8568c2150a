"""The built-in emoji: all there, all readable, licensed, small."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import pytest

from bouba.data import decode, samples
from bouba.errors import DataError

FILES = resources.files("bouba") / "data" / "emoji"


@pytest.fixture(scope="module")
def emoji():
    return samples.emoji()


def test_every_concept_in_every_style(emoji):
    assert emoji.shape == (1594 * 4, 3)
    assert emoji.modalities == {"image": "image", "en": "text", "zh": "text"}
    assert emoji.domains == ["fluent", "noto", "openmoji", "twemoji"]
    assert set(Counter(emoji.key).values()) == {4}
    assert len(set(zip(emoji.key, emoji.domain))) == len(emoji)
    assert all(present.all() for present in emoji.present.values())
    assert (len(set(emoji.y["group"])), len(set(emoji.key))) == (9, 1594)


def test_words_and_labels_are_those_of_the_concept(emoji):
    [apple] = [i for i, name in enumerate(emoji.meta["name_en"]) if name == "red apple" and emoji.domain[i] == "noto"]
    assert emoji["en"][apple].startswith("red apple")
    assert emoji["zh"][apple].startswith("红苹果")
    assert (emoji.meta["emoji"][apple], emoji.y["group"][apple]) == ("🍎", "food-drink")
    for about in (emoji["en"], emoji["zh"], emoji.y["subgroup"]):
        assert len(set(zip(emoji.key, about))) == 1594  # the same in all styles


def test_every_picture_is_64_by_64_and_drawn(emoji):
    def seen(row):
        picture = decode.image(emoji["image"][row])
        return picture.size, picture.mode, picture.getextrema() != ((255, 255),) * 3

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(seen, range(len(emoji)))) == {((64, 64), "RGB", True)}


def test_licences_and_size():
    said = (FILES / "LICENSES.md").read_text(encoding="utf-8")
    for licence in ("Apache-2.0", "CC-BY-4.0", "CC-BY-SA-4.0", "MIT", "Unicode-3.0"):
        assert licence in said
    assert len((FILES / "emoji.parquet").read_bytes()) <= 10_000_000


def test_styles_by_name_and_refusal():
    assert samples.emoji(styles="noto").domains == ["noto"]
    with pytest.raises(DataError, match="no style 'nota'; did you mean 'noto'"):
        samples.emoji(styles=("nota",))
