"""The demo's protocol: a drawing style for which nobody ever wrote a caption.

Concepts are split three ways. A: captioned in the source styles (noto, twemoji, fluent). U: only their drawings
in the target style are seen, without caption, label or key. H: never seen in any style. No target drawing of A or
H is used in training. Judged among the target drawings of A ("known": known concept, new style) and of H ("new").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bouba.adapt import AdaptedCLIP
from bouba.align import CLIP, FewPairs, LinearBaseline
from bouba.data import samples
from bouba.data.split import split
from bouba.data.views import Views
from bouba.evaluation import Result, evaluate
from bouba.runs import methods
from bouba.towers import EncoderSpec, Joined, NGrams, Packaged, ResNet, SameAs

TARGET = "openmoji"
CLIP_NAME, ADAPTED_CLIP_NAME, LINEAR_CCA_NAME = METHODS = tuple(
    method.name for method in (methods.CLIP, methods.ADAPTED_CLIP, methods.LINEAR_CCA)
)
FEW_PAIRS_NAME = methods.FEW_PAIRS.name
EPOCHS = 26
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
    """

    views: Views
    source: Views
    training: Views
    known: Views
    new: Views


def cut(seed: int, *, target: str = TARGET) -> Protocol:
    """A 50%, U 30%, H 20% of the concepts, drawn by `seed`."""
    views = samples.emoji()
    part = split(views, {"A": 0.5, "U": 0.3, "H": 0.2}, random_state=seed)
    of_target = {name: rows[rows.domain == target] for name, rows in part.items()}
    source = part["A"][part["A"].domain != target]
    training = views[np.concatenate([source.rows, of_target["U"].rows])]
    return Protocol(views, source, training, of_target["A"], of_target["H"])


def fit(
    method: str,
    protocol: Protocol,
    seed: int,
    *,
    epochs: int | None = None,
    target: str = TARGET,
    towers: Mapping[str, Any] | None = None,
    on_epoch: Callable[[dict], None] | None = None,
) -> Any:
    """One of METHODS, or FewPairs over FROZEN encoders, fitted on what the protocol lets it see."""
    if method == LINEAR_CCA_NAME:
        return LinearBaseline(random_state=seed).fit(protocol.source)
    if method == FEW_PAIRS_NAME:
        return FewPairs(FROZEN, random_state=seed).fit(protocol.training, target=target)
    towers = towers or {"image": ResNet(size=32, channels=24, crop=True), "en": NGrams(), "zh": NGrams()}
    training: dict[str, Any] = {"epochs": EPOCHS if epochs is None else epochs, "random_state": seed}
    if method == CLIP_NAME:
        return CLIP(towers, **training).fit(protocol.source, on_epoch=on_epoch)
    model = AdaptedCLIP(towers, adapt=("image",), **training)
    return model.fit(protocol.training, target=target, on_epoch=on_epoch)


def judge(method: str, model: Any, protocol: Protocol, seed: int) -> Result:
    """Every direction among target drawings, and group accuracy, known and new concepts."""
    options: dict[str, Any] = {"method": method, "probe": protocol.source, "labels": ["group"], "seed": seed}
    result = evaluate(model, protocol.known, split="known", **options)
    return result + evaluate(model, protocol.new, split="new", **options)
