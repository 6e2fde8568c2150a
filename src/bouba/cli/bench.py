"""bouba bench: measurements anyone can repeat, over several seeds."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bouba.cli import emoji_protocol as emoji
from bouba.cli.reading import table_lines
from bouba.evaluation import Record, Result, seeds_interval


class Bench(StrEnum):
    """What can be measured."""

    emoji = "emoji"


HEADLINE = (
    ("known", "recall@10"),
    ("new", "recall@10"),
    ("known", "group_accuracy"),
    ("new", "group_accuracy"),
)


def command(
    what: Annotated[Bench, typer.Argument(help="emoji: CLIP against CLIP + DANN on a style without captions.")],
    seeds: Annotated[int, typer.Option(help="Training runs, each with its own cut of the concepts.")] = 3,
    epochs: Annotated[int, typer.Option(help="Passes over the captioned drawings.")] = emoji.EPOCHS,
    target: Annotated[
        str, typer.Option(help="The style without captions: noto, twemoji, fluent or openmoji.")
    ] = emoji.TARGET,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the records to this JSON file.")] = None,
) -> None:
    """Every method over several seeds, means with 95% intervals, and the paired difference."""
    result = Result([])
    for seed in range(seeds):
        protocol = emoji.cut(seed, target=target)
        for method in emoji.METHODS:
            model = emoji.fit(method, protocol, seed, epochs=epochs, target=target)
            result = result + emoji.judge(method, model, protocol, seed)
            sys.stderr.write(f"seed {seed} {method}: {_brief(result, method, seed)}\n")
            if out is not None:
                result.to_json(out)
    typer.echo(_page(result, seeds))
    if out is not None:
        typer.echo(json.dumps({"records": len(result), "file": str(out)}))


def headline(result: Result, method: str, seed: int, split: str, metric: str) -> float:
    """recall@10 is the mean over both languages and both directions between words and drawings."""
    words = [f"{t}->image" for t in ("en", "zh")] + [f"image->{t}" for t in ("en", "zh")]
    directions = words if metric == "recall@10" else ["image"]
    found: list[Record] = list(result.where(method=method, seed=seed, split=split, metric=metric, direction=directions))
    return float(np.mean([record.value for record in found]))


def _brief(result: Result, method: str, seed: int) -> str:
    return ", ".join(
        f"{split} {metric} {100 * headline(result, method, seed, split, metric):.1f}" for split, metric in HEADLINE
    )


def _page(result: Result, seeds: int) -> str:
    rows = [["percent", *emoji.METHODS, "clip_dann - clip, per seed", "mean [95% interval]"]]
    for split, metric in HEADLINE:
        runs = {m: [100 * headline(result, m, s, split, metric) for s in range(seeds)] for m in emoji.METHODS}
        gain = np.subtract(runs["clip_dann"], runs["clip"])
        each = " ".join(f"{g:+.1f}" for g in gain)
        rows.append(
            [
                f"{metric}, {split}",
                *(_with_interval(runs[m]) for m in emoji.METHODS),
                each,
                _with_interval(gain),
            ]
        )
    return (
        table_lines(rows) + "\n\nrecall@10: mean over en/zh and both directions; 95% intervals over seeds (Student t)."
    )


def _with_interval(values) -> str:
    if len(values) < 2:
        return f"{values[0]:.1f}"
    mean, low, high = seeds_interval(list(values))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"
