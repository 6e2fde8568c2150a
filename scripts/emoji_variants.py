"""Write which emoji are variants of one another: src/bouba/data/emoji/variants.json.

    python scripts/emoji_variants.py

Two emoji are variants when their names are equal without persons, hair, direction, colour, size and number (man and
woman astronaut, red and green apple, all clock faces, keycaps and flags), when more than half of the words of their
names are shared, or when one style draws them alike. What is a variant of a variant is one, too. `samples.emoji()`
gives the result as its group, so that a cut never learns a concept from its twin.
"""

import io
import json
import re
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

from bouba.data import samples
from bouba.data.duplicates.nearest import linked

FILE = Path(__file__).parents[1] / "src" / "bouba" / "data" / "emoji" / "variants.json"
SHARED = 0.5  # of the words of two names, above which they are variants
ALIKE = 10.0  # of 255: root mean square difference of the pixels, below which two drawings are alike
SIDE = 32  # pixels that are compared
PERSONS = "man woman person men women people boy girl child older old mx mrs santa prince princess"
HAIR = "white hair|red hair|curly hair|blond hair|bald|beard"
OTHERS = (
    "left right up down leftwards rightwards upwards downwards upward downward clockwise counterclockwise facing "
    "red orange yellow green blue purple brown black white grey pink light dark small medium large big "
    "1st 2nd 3rd first second third last"
)
MERPERSON = re.compile("mermaid|merman|merperson")
CLOCK = re.compile(r"o.clock$|-thirty$")
ONE_CONCEPT = ("keycap", "flag")  # subgroups whose emoji differ in a number or a colour
_LEFT_OUT = {*PERSONS.split(), *OTHERS.split()}


def words(name: str) -> list[str]:
    """The words of a name."""
    return re.findall(r"[\w’']+", name.lower())


def base(name: str, subgroup: str) -> str:
    """A name without what tells variants apart."""
    if subgroup in ONE_CONCEPT:
        return subgroup
    if CLOCK.search(name):
        return "clock face"
    name = re.sub(HAIR, "", MERPERSON.sub("merperson", name.lower()))
    kept = [word for word in words(name) if word not in _LEFT_OUT]
    # what is left of "man" and "woman: red hair" is nothing
    return " ".join(kept) or ("person" if set(words(name)) & set(PERSONS.split()) else name.strip())


def variants(names: list[str], subgroups: list[str], drawings: list[np.ndarray]) -> np.ndarray:
    """(n,) number of each concept's group.

    Args:
        names, subgroups: of n concepts. drawings: for each style (n, pixels).
    """
    rows = [*_equal([base(*pair) for pair in zip(names, subgroups, strict=True)]), *_sharing(names)]
    for pixels in drawings:
        rows += _alike(pixels)
    return linked(len(names), *np.array(rows).T)


def _equal(labels: list[str]) -> Iterator[tuple[int, int]]:
    first: dict[str, int] = {}
    for row, label in enumerate(labels):
        yield first.setdefault(label, row), row


def _sharing(names: list[str]) -> Iterator[tuple[int, int]]:
    sets = [set(words(name)) for name in names]
    for a, b in combinations(range(len(names)), 2):
        if len(sets[a] & sets[b]) > SHARED * len(sets[a] | sets[b]):
            yield a, b


def _alike(pixels: np.ndarray) -> Iterator[tuple[int, int]]:
    square = (pixels**2).sum(1)
    mean_square = (square[:, None] + square - 2 * pixels @ pixels.T) / pixels.shape[1]
    for a, b in zip(*np.nonzero(np.triu(mean_square <= ALIKE**2, 1)), strict=True):
        yield int(a), int(b)


def drawings_of(style: str) -> np.ndarray:
    """(n, SIDE * SIDE * 3) pixels of a style's drawings."""
    cells = samples.emoji(styles=style)["image"]
    pictures = (Image.open(io.BytesIO(cells[row])).convert("RGB") for row in range(len(cells)))
    return np.stack([np.asarray(picture.resize((SIDE, SIDE)), float).ravel() for picture in pictures])


def listed(names: list[str], keys: list[str], subgroups: list[str], drawings: list[np.ndarray]) -> dict[str, list[str]]:
    """Groups of several concepts: the name of the first -> keys of all."""
    groups: dict[int, list[int]] = {}
    for row, number in enumerate(variants(names, subgroups, drawings)):
        groups.setdefault(int(number), []).append(row)
    return {names[rows[0]]: [keys[row] for row in rows] for rows in groups.values() if len(rows) > 1}


def main() -> int:
    views = samples.emoji(styles="noto")
    columns = (views.meta["name_en"], views.key, views.y["subgroup"])
    names, keys, subgroups = ([str(value) for value in column] for column in columns)
    several = listed(names, keys, subgroups, [drawings_of(style) for style in samples.STYLES])
    FILE.write_text(json.dumps(several, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(several)} groups of {sum(map(len, several.values()))} of {len(names)} concepts -> {FILE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
