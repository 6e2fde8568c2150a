"""The demo's protocol: a drawing style for which nobody ever wrote a caption.

Concepts are split three ways. A: captioned in the source styles (noto, twemoji, fluent). U: only their drawings
in the target style are seen, without caption, label or key. H: never seen in any style. No target drawing of A or
H is used in training. Judged among the target drawings of A ("known": known concept, new style) and of H ("new").

Variants of a concept (man and woman astronaut, all clock faces) stand on one side of the cut. A fifth of the concepts,
the same for every seed, is only there to choose settings on: their target drawings are in no number that is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bouba.data import samples
from bouba.data.split import split
from bouba.data.views import Views
from bouba.evaluation import Result, evaluate
from bouba.towers import EncoderSpec, Joined, Packaged, SameAs

TARGET = "openmoji"
SHARES = {"A": 0.5, "U": 0.3, "H": 0.2}
CHOOSING = 0.2  # of the concepts
DRAWN = 1000  # no seed that is reported
FROZEN: dict[str, EncoderSpec | SameAs] = {
    "image": Packaged("efficientnet-lite0"),
    "en": Packaged("multilingual-e5-small"),
    "zh": SameAs("en"),
}
"""Encoders that know words and pictures from elsewhere."""
SEARCHED: dict[str, EncoderSpec | SameAs] = {
    **FROZEN,
    "image": Joined((Packaged("efficientnet-lite0"), Packaged("efficientnet-lite2", size=128))),
}
"""Encoders of the demo's run: two networks look at each drawing."""
SEPARATE = {view: FROZEN["en"] if view == "zh" else spec for view, spec in FROZEN.items()}
"""The same for methods whose heads are not shared."""


@dataclass(frozen=True)
class Protocol:
    """The emoji cut for one seed.

    Args:
        views: all 6,376 drawings.
        source: A in the source styles. training: source, and U in the target style.
        known: A in the target style. new: H in the target style.
        choosing: "known" and "new" of the concepts that settings are chosen on.
    """

    views: Views
    source: Views
    training: Views
    known: Views
    new: Views
    choosing: dict[str, Views]


def cut(seed: int, *, target: str = TARGET) -> Protocol:
    """A 50%, U 30%, H 20% of the concepts and their variants, drawn by `seed`."""
    views = samples.emoji()
    shares = {"choosing": CHOOSING, "reported": 1 - CHOOSING}
    for_choosing = set(split(views, shares, random_state=DRAWN)["choosing"].key)  # type: ignore[arg-type]
    part = split(views, SHARES, random_state=seed)
    of_target = {name: rows[rows.domain == target] for name, rows in part.items()}
    source = part["A"][part["A"].domain != target]
    training = views[np.concatenate([source.rows, of_target["U"].rows])]
    judged = {"known": of_target["A"], "new": of_target["H"]}
    is_for_choosing = {name: np.array([key in for_choosing for key in rows.key]) for name, rows in judged.items()}
    known, new = (rows[~is_for_choosing[name]] for name, rows in judged.items())
    choosing = {name: rows[is_for_choosing[name]] for name, rows in judged.items()}
    return Protocol(views, source, training, known, new, choosing)


def judge(method: str, model: Any, protocol: Protocol, seed: int, *, choosing: bool = False) -> Result:
    """Every direction among target drawings, and group accuracy, known and new concepts.

    Args:
        choosing: judge on the concepts that settings are chosen on instead of those that are reported.
    """
    judged = protocol.choosing if choosing else {"known": protocol.known, "new": protocol.new}
    options: dict[str, Any] = {"method": method, "probe": protocol.source, "labels": ["group"], "seed": seed}
    parts = [evaluate(model, rows, split=name, **options) for name, rows in judged.items()]
    return parts[0] + parts[1]
