"""bouba bench emoji: CLIP against CLIP + domain-adversarial training on a drawing style without captions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bouba.bench import emoji_protocol as emoji
from bouba.evaluation import Record, Result
from bouba.evaluation.table import text_table, with_interval

HEADLINE = (
    ("known", "recall@10"),
    ("new", "recall@10"),
    ("known", "group_accuracy"),
    ("new", "group_accuracy"),
)


def command(
    seeds: Annotated[int, typer.Option(help="Training runs, each with its own cut of the concepts.")] = 3,
    epochs: Annotated[int, typer.Option(help="Passes over the captioned drawings.")] = emoji.EPOCHS,
    target: Annotated[
        str, typer.Option(help="The style without captions: noto, twemoji, fluent or openmoji.")
    ] = emoji.TARGET,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="All on features of frozen encoders, and FewPairs beside.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every way to adapt, with each style in turn as the target.")
    ] = False,
    style: Annotated[list[str] | None, typer.Option(help="With --all: this style only; may be repeated.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="With --all: this method only; may be repeated.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the records to this JSON file; --all continues it.")
    ] = None,
) -> None:
    """Every method over several seeds, means with 95% intervals, and the paired difference."""
    if every:
        from bouba.bench import emoji_styles as styles

        typer.echo(styles.run(seeds=seeds, epochs=epochs, styles=style, methods=method, out=out))
        return
    result = Result([])
    for seed in range(seeds):
        protocol = emoji.cut(seed, target=target)
        for name in _methods(frozen):
            towers = emoji.SEPARATE if frozen else None
            model = emoji.fit(name, protocol, seed, epochs=epochs, target=target, towers=towers)
            result = result + emoji.judge(name, model, protocol, seed)
            sys.stderr.write(f"seed {seed} {name}: {_brief(result, name, seed)}\n")
            if out is not None:
                result.to_json(out)
    typer.echo(_page(result, seeds, _methods(frozen)))


def _methods(frozen: bool) -> tuple[str, ...]:
    return (*emoji.METHODS, emoji.FEW_PAIRS_NAME) if frozen else emoji.METHODS


def headline(result: Result, method: str, seed: int, split: str, metric: str) -> float:
    """recall@10 is the mean over both languages and both directions between words and drawings."""
    words = [f"{t}->image" for t in ("en", "zh")] + [f"image->{t}" for t in ("en", "zh")]
    directions = words if metric == "recall@10" else ["image"]
    records: list[Record] = list(
        result.where(method=method, seed=seed, split=split, metric=metric, direction=directions)
    )
    return float(np.mean([record.value for record in records]))


def _brief(result: Result, method: str, seed: int) -> str:
    return ", ".join(
        f"{split} {metric} {100 * headline(result, method, seed, split, metric):.1f}" for split, metric in HEADLINE
    )


def _page(result: Result, seeds: int, methods: tuple[str, ...]) -> str:
    adapted, plain = emoji.ADAPTED_CLIP_NAME, emoji.CLIP_NAME
    header = ["percent", *methods, f"{adapted} - {plain}, per seed", "mean [95% interval]"]
    lines = []
    for split, metric in HEADLINE:
        runs = {m: [100 * headline(result, m, s, split, metric) for s in range(seeds)] for m in methods}
        gain = np.subtract(runs[adapted], runs[plain])
        each = " ".join(f"{g:+.1f}" for g in gain)
        means = [with_interval(runs[m]) for m in methods]
        lines.append([f"{metric}, {split}", *means, each, with_interval(gain)])
    note = "recall@10: mean over en/zh and both directions; 95% intervals over seeds (Student t)."
    return f"{text_table(header, lines, labels=1)}\n\n{note}"
