"""A small report with something in every part."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from bouba.report import EmbeddingMap, Gallery, Item, Picture, Query, Report


def paint(colour: str, size: int = 8, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(out, kind)
    return out.getvalue()


RED, GREEN, BLUE = paint("red"), paint("green", kind="WEBP"), paint("blue", kind="JPEG")


def record(method, value, **changes):
    base = {
        "method": method,
        "split": "known",
        "domain": "openmoji",
        "direction": "en->image",
        "metric": "recall@10",
        "value": value,
        "low": value - 0.05,
        "high": value + 0.05,
        "chance": 0.03,
        "n": 300,
    }
    return base | changes


def query(text, *, hit: bool) -> Query:
    truth = Item(None, RED, 0.4, True, "right")
    found = [Item(None, GREEN, 0.9, False, "wrong"), *([truth] if hit else [])]
    return Query(text, None, "fruit", 2 if hit else 77, truth, found)


@pytest.fixture
def empty() -> Report:
    return Report("An empty page")


@pytest.fixture
def full(empty) -> Report:
    history = [
        {"epoch": 1, "loss": 2.0, "validation": 0.1},
        {"epoch": 2, "loss": float("nan"), "validation": 0.2},
    ]
    names, pictures = ["apple", "apple", "pear"], [RED, RED, GREEN]
    return replace(
        empty,
        title="Emoji in a new style",
        facts=[("Drawings", "6,376")],
        samples=[Picture(RED, "apple", "noto"), Picture(GREEN, "apple", "openmoji"), Picture(BLUE, "pear")],
        curves={"clip": history, "clip_dann": history},
        records=[
            record("clip", 0.3),
            record("clip_dann", 0.5),
            record("clip", 0.2, split="new"),
            record("clip_dann", 0.25, split="new"),
            record("clip", 14, metric="median_rank", low=9, high=20, chance=150),
            record("clip_dann", 7, metric="median_rank", low=5, high=8, chance=150),
        ],
        galleries=[
            Gallery("Pictures found by words", "clip", [query("apple", hit=False), query("梨", hit=False)]),
            Gallery("Pictures found by words", "clip_dann", [query("apple", hit=True), query("梨", hit=False)]),
        ],
        maps=[
            EmbeddingMap(
                "CLIP",
                [0.0, 1.0, 2.0],
                [0.0, 1.0, 4.0],
                {"style": ["noto", "openmoji", "noto"], "group": ["a", "a", "b"]},
                names,
                pictures,
            )
        ],
        notes=["Only one seed."],
    )
