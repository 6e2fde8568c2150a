"""What a column is taken for, from its cells and its name."""

import numpy as np
import pytest
from PIL import Image

from bouba.data.guess import guess

MANY = 40


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("x", np.zeros((3, 2)), "vector"),
        ("x", np.zeros((3, 2, 2)), "image"),
        ("x", np.zeros((2, 3, 4, 4, 3)), "video"),
        ("x", [np.zeros((3, 4, 4, 3))], "video"),
        ("x", [np.zeros(3)], "vector"),
        ("x", [[1, 2.5]], "vector"),
        ("x", [["a", "b"]], "meta"),
        ("x", [b"\x89PNG"], "image"),
        ("x", [{"bytes": b"", "path": None}], "image"),
        ("x", [{"lat": 1}], "meta"),
        ("x", [Image.new("L", (1, 1))], "image"),
        ("x", [None, "a/b.JPEG", "c.png"], "image"),
        ("x", ["a.wav", "b.flac"], "audio"),
        ("x", ["a.mp4", "b.webm"], "video"),
        ("x", [3, 4], "vector"),
        ("x", [True, False], "label"),
        ("x", [None, "", float("nan")], "meta"),
        ("x", ["https://a.b/c", "https://a.b/d"], "meta"),
        ("x", ["A7_3", "B2_9"], "meta"),
        ("x", ["一个红苹果", "天空3"], "text"),
        ("x", ["a red apple", "the sky"], "text"),
        ("x", ["red", "blue"] * MANY, "label"),
        ("caption", ["a red apple in the sun", "the blue sky at noon"] * MANY, "text"),
        ("Label", ["a", "b"] * MANY, "label"),
        ("label", [0, 1] * MANY, "label"),
        ("style", ["ink", "oil"] * MANY, "domain"),
        ("id", [f"{i}" for i in range(MANY)], "key"),
        ("source", [f"written by number {i}" for i in range(MANY)], "text"),
        ("kind", ["a.png", "b.png"], "image"),
    ],
)
def test_definition(name, cells, expected):
    assert guess(name, cells, {}) == expected


def test_what_the_source_declares_comes_first():
    assert guess("x", ["a red apple"], {"x": "label"}) == "label"


def test_chinese_sentences_are_text_though_they_have_no_blanks():
    sentences = [f"一个{colour}色的{shape}形" for colour in "红绿蓝" for shape in ("圆", "三角")] * 20
    assert guess("内容", sentences, {}) == "text"
    assert guess("形状", ["圆", "方"] * 60, {}) == "label"
