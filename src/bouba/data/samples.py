"""Built-in data: real ones, and made ones of which the right answer is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources

import numpy as np

from bouba.data.planted import Planted as Planted
from bouba.data.planted import correlated as correlated
from bouba.data.views import Column, Views
from bouba.errors import DataError, nearest

STYLES = ("noto", "twemoji", "fluent", "openmoji")


def emoji(*, styles: str | Sequence[str] = STYLES) -> Views:
    """1,594 emoji in four drawing styles, named in English and Chinese: 6,376 rows, one a drawing.

    Views: `image` (64 x 64 RGB, WebP), `en` and `zh` (name and keywords). Labels: `group` (9) and `subgroup`.
    Domain: the style. Key: the concept, the same for all styles. Group: concepts that are variants of one another (man
    and woman astronaut, red and green apple, all clock faces: `scripts/emoji_variants.py`), by the name of the first,
    so that `split` keeps them together. Meta: `emoji` and `name_en`, `name_zh`.

    Sources and licences: bouba/data/emoji/LICENSES.md (Noto, Twemoji, OpenMoji, Fluent; names from emojibase).

    >>> views = emoji(styles=("noto",))
    >>> len(views), views.modalities
    (1594, {'image': 'image', 'en': 'text', 'zh': 'text'})
    """
    import pyarrow.parquet as pq

    styles = (styles,) if isinstance(styles, str) else styles
    for style in styles:
        if style not in STYLES:
            raise DataError(f"no style {style!r}{nearest(style, STYLES)}")
    folder = resources.files("bouba") / "data" / "emoji"
    with resources.as_file(folder / "emoji.parquet") as file:
        table = pq.read_table(file, filters=[("style", "in", list(styles))])
    column = {name: np.asarray(table[name].to_pylist(), dtype=object) for name in table.column_names}
    described = lambda lang, comma: np.array(  # noqa: E731
        [f"{n}{comma}{k}" if k else n for n, k in zip(column[f"name_{lang}"], column[f"keywords_{lang}"])],
        dtype=object,
    )
    variants = json.loads((folder / "variants.json").read_text(encoding="utf-8"))
    first = {key: name for name, keys in variants.items() for key in keys}
    group = [first.get(key, name) for key, name in zip(column["key"], column["name_en"], strict=True)]
    return Views(
        {
            "image": Column.of(column["image"], "image"),
            "en": Column.of(described("en", ": "), "text"),
            "zh": Column.of(described("zh", "："), "text"),
        },
        y={"group": column["group"], "subgroup": column["subgroup"]},
        domain=column["style"],
        key=column["key"],
        group=np.array(group, dtype=object),
        meta={name: column[name] for name in ("emoji", "name_en", "name_zh")},
    )
