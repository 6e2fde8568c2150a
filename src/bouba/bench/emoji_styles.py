"""bouba bench emoji --all: every way to adapt, with each drawing style in turn as the one without captions.

All methods train the same towers on the same drawings, from one objective each:

    clip            InfoNCE on the captioned styles
    not cropped     the same, on drawings as they come: what preparing the data alone brings
    colour          the same, colours of a drawing changed at random and often taken away
    statistics      InfoNCE, the target style normalised by its own BatchNorm statistics (adds no term)
    dann, mmd, coral, cdan      a term that brings the styles' drawings together; statistics as above
    self-training   also predicts group labels, with sure predictions on the target as labels
    mix             InfoNCE, dann, and NT-Xent on the drawings of all styles: two random changes of a drawing belong
                    together, also where it has no caption. Chosen on OpenMoji and used for every style
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ttest_rel

from bouba.bench import emoji_protocol as emoji
from bouba.data.augment import Augment
from bouba.errors import UsageError, nearest
from bouba.evaluation import Record, Result
from bouba.evaluation.environment import environment
from bouba.evaluation.table import text_table, with_interval
from bouba.learner import Learner
from bouba.metrics import domain_accuracy
from bouba.runs import methods
from bouba.terms import CORAL, MMD, DomainAdversarial, InfoNCE, NTXent, Prediction, SelfTraining
from bouba.terms.term import Objective
from bouba.towers import ConvNet, EncoderSpec, NGrams, ResNet

STYLES = ("openmoji", "noto", "twemoji", "fluent")
DANN = methods.DANN.name
PICTURE, GROUP = ("image",), ("group",)
MATCH = Objective.of(InfoNCE())
GROUPS = MATCH + 0.3 * Prediction(GROUP)
METHODS: dict[str, Objective] = {
    emoji.CLIP_NAME: MATCH,
    "not cropped": MATCH,
    "colour": MATCH,
    "statistics": MATCH + 0.0 * DomainAdversarial(PICTURE),
    DANN: MATCH + 0.1 * DomainAdversarial(PICTURE),
    "mmd": MATCH + 1.0 * MMD(PICTURE),
    "coral": MATCH + 1.0 * CORAL(PICTURE),
    "cdan": GROUPS + 0.1 * DomainAdversarial(PICTURE, condition="group", entropy_weight=True),
    "self-training": GROUPS + 0.1 * SelfTraining(GROUP, threshold=0.8),
    "mix": MATCH + 0.1 * DomainAdversarial(PICTURE) + 0.2 * NTXent(views=PICTURE),
}
SOURCE_ONLY = (emoji.CLIP_NAME, "not cropped", "colour")
COLOUR = Augment(color=0.6, grey=0.3)
MEASURES = (
    ("recall@10", "known"),
    ("recall@10", "new"),
    ("precision@10", "known"),
    ("group accuracy", "known"),
    ("group accuracy", "new"),
    ("domain accuracy", "known"),
)


def towers(method: str, *, image: EncoderSpec | None = None) -> dict[str, EncoderSpec]:
    """The demo's text towers and a small picture tower; its augmentation and cropping as the method says."""
    picture: Any = image or ConvNet(size=24, channels=16)
    assert isinstance(picture, ResNet | ConvNet), "towers that crop"
    picture = replace(picture, crop=method != "not cropped")
    if method == "colour":
        picture = replace(picture, augment=COLOUR)
    return {"image": picture, "en": NGrams(), "zh": NGrams()}


def fit(
    method: str, protocol: emoji.Protocol, seed: int, *, epochs: int, target: str, image: EncoderSpec | None = None
) -> Learner:
    """One of METHODS, fitted on what the protocol lets it see."""
    model = Learner(towers(method, image=image), METHODS[method], epochs=epochs, random_state=seed)
    if method in SOURCE_ONLY:
        return model.fit(protocol.source)
    return model.fit(protocol.training, target=target)


def measured(method: str, model: Learner, protocol: emoji.Protocol, seed: int) -> dict[tuple[str, str], float]:
    """MEASURES of one model, in percent. recall and precision: mean over both languages and both directions."""
    result = emoji.judge(method, model, protocol, seed)
    words = [f"{t}->image" for t in ("en", "zh")] + [f"image->{t}" for t in ("en", "zh")]
    out = {}
    for measure, split in MEASURES[:-1]:
        group = measure == "group accuracy"
        metric, directions = ("group_accuracy", ["image"]) if group else (measure, words)
        records: list[Record] = list(result.where(split=split, metric=metric, direction=directions))
        out[measure, split] = 100 * float(np.mean([record.value for record in records]))
    embeddings = [model.embed(part.select("image"))["image"] for part in (protocol.source, protocol.known)]
    out["domain accuracy", "known"] = 100 * domain_accuracy(*embeddings, random_state=seed)
    return out


def run(
    *,
    seeds: int,
    epochs: int,
    styles: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    out: Path | None = None,
    image: EncoderSpec | None = None,
) -> str:
    """Every method on every style over the seeds, as tables; what is in `out` already is not trained again."""
    styles, methods = styles or STYLES, methods or tuple(METHODS)
    for names, allowed in ((styles, STYLES), (methods, METHODS)):
        if unknown := next((name for name in names if name not in allowed), None):
            raise UsageError(f"no {unknown!r}{nearest(unknown, allowed)}")
    result = Result([], environment(0) | {"epochs": epochs})
    if out is not None and out.exists():
        result = Result.from_json(out)
        if (before := result.meta.get("epochs", epochs)) != epochs:
            raise UsageError(f"{out} holds runs of {before} epochs, not {epochs}; continue with those, or name another")
    done = {(record.domain, record.method, record.seed) for record in result}
    for seed, style, method in itertools.product(range(seeds), styles, methods):
        if (style, method, seed) in done:
            continue
        began = time.process_time()
        protocol = emoji.cut(seed, target=style)
        model = fit(method, protocol, seed, epochs=epochs, target=style, image=image)
        values = measured(method, model, protocol, seed)
        cost = (time.process_time() - began) / 60
        summary = ", ".join(f"{measure} {split} {value:.1f}" for (measure, split), value in values.items())
        sys.stderr.write(f"{style} seed {seed} {method}: {summary} ({cost:.1f} CPU-minutes)\n")
        result = result + Result([_record(method, style, seed, *at, value) for at, value in values.items()])
        if out is not None:
            result.to_json(out)
    note = "Mean [95% interval over seeds, Student t]. The mix was put together on openmoji, whose gain it flatters."
    return "\n\n".join([*(page(result, style, methods, seeds) for style in styles), note])


def _record(method: str, style: str, seed: int, measure: str, split: str, value: float) -> Record:
    return Record(method, split, style, "image<->words", measure, value, None, None, None, 0, seed)


def page(result: Result, style: str, methods: Sequence[str], seeds: int) -> str:
    """One style's table: means with intervals over seeds, and what each method gains on clip, seed by seed paired."""
    header = [f"{style}, percent", *(f"{measure}, {split}" for measure, split in MEASURES), "recall@10 - clip, known"]
    lines = []
    for method in methods:
        cells = [with_interval(list(_runs(result, style, method, at, seeds).values())) for at in MEASURES]
        lines.append([method, *cells, _gain(result, style, method, seeds) if method != emoji.CLIP_NAME else ""])
    return text_table(header, lines, labels=1)


def _runs(result: Result, style: str, method: str, at: tuple[str, str], seeds: int) -> dict[int | None, float]:
    """Seed -> value."""
    records = result.where(method=method, domain=style, metric=at[0], split=at[1], seed=list(range(seeds)))
    return {record.seed: record.value for record in records}


def _gain(result: Result, style: str, method: str, seeds: int) -> str:
    """Difference to clip with its interval, relative gain, and the p-value of a paired t-test over seeds."""
    runs, clip = (_runs(result, style, m, MEASURES[0], seeds) for m in (method, emoji.CLIP_NAME))
    both = [seed for seed in runs if seed in clip]
    if not both:
        return ""
    of_method, of_clip = (np.array([values[seed] for seed in both]) for values in (runs, clip))
    relative = f"{100 * (of_method.mean() / of_clip.mean() - 1):+.0f}%"
    if len(of_method) < 2 or (of_method == of_clip).all():
        return f"{(of_method - of_clip).mean():+.1f}, {relative}"
    p = ttest_rel(of_method, of_clip).pvalue
    return f"{with_interval(of_method - of_clip)}, {relative}, p = {p:.1g}"
