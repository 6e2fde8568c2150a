"""A small report with something in every part."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from bouba.report import Case, Cell, Contribution, EmbeddingMap, Gallery, Item, Judged, Picture, Query, Report


def paint(colour: str, size: int = 8, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(out, kind)
    return out.getvalue()


METHODS = {
    "clip": ("CLIP", "learns from captioned pictures only."),
    "adapted-clip": ("CLIP + DANN", "is CLIP that also looks at pictures of the new style."),
    "late-fusion": ("Late fusion", "is the baseline: each view predicts alone."),
    "flow": ("Flow matching", "carries noise step by step to something that looks real."),
    "regression": ("Regression", "is the baseline: the same at every draw."),
}
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
def methods() -> dict[str, tuple[str, str]]:
    """What a page says of methods."""
    return METHODS


@pytest.fixture
def kind() -> Judged:
    """A label of two classes."""
    return Judged(
        "kind",
        "clip",
        ["ant", "bee"],
        [[8, 2], [1, 9]],
        [(0.6, 0.5, 4), (0.9, 0.95, 16)],
        0.06,
        unit="the probability of kind",
        contributions=[Contribution("words", 0.3, 0.25, 0.35, 20), Contribution("photo", 0.1, None, None, 15)],
        cases=[
            Case([Cell("words", "it buzzes", None), Cell("photo", None, BLUE)], "ant", "bee", 0.8, {"words": -0.12}),
            Case(
                [Cell("words", "hm", None, None, [("hm", -0.5)]), Cell("photo", None, BLUE, RED)], "ant", None, 0.6, {}
            ),
        ],
    )


@pytest.fixture
def empty() -> Report:
    return Report("An empty page", methods=METHODS)


@pytest.fixture
def full(empty, kind) -> Report:
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
        curves={"clip": history, "adapted-clip": history},
        records=[
            record("clip", 0.3),
            record("adapted-clip", 0.5),
            record("clip", 0.2, split="new"),
            record("adapted-clip", 0.25, split="new"),
            record("clip", 14, metric="median_rank", low=9, high=20, chance=150),
            record("adapted-clip", 7, metric="median_rank", low=5, high=8, chance=150),
        ],
        judged=[kind, replace(kind, label="size", classes=(), counts=(), points=[(1.0, 2.0)])],
        galleries=[
            Gallery("Pictures found by words", "clip", [query("apple", hit=False), query("梨", hit=False)]),
            Gallery("Pictures found by words", "adapted-clip", [query("apple", hit=True), query("梨", hit=False)]),
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
