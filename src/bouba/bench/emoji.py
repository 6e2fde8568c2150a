"""bouba bench emoji: words find drawings of a style without captions, by every way to align and to adapt.

The protocol is that of `bouba/bench/emoji_protocol.py`, the methods those of `bouba/bench/emoji_methods.py`. Each seed
cuts the concepts anew, so that intervals over seeds carry which concepts were drawn and how training went.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bouba.bench import emoji_methods as ways
from bouba.bench import emoji_protocol as emoji
from bouba.bench.kept import Keeper, print_tables
from bouba.bench.paired import ahead_of_next, paired
from bouba.data import samples
from bouba.errors import UsageError, nearest
from bouba.evaluation import Record, Result
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.table import Table, bold, with_interval
from bouba.metrics import domain_accuracy

MEASURES = (
    ("recall@10", "known"),
    ("recall@10", "new"),
    ("group accuracy", "known"),
    ("group accuracy", "new"),
)
DOMAIN_ACCURACY = ("domain accuracy", "known")
CHANCE = "chance"
PERCENT = (0.0, 100.0)
FROZEN_CLIP = "frozen CLIP"
SHOWN = (ways.LINEAR_CCA, ways.CLIP, ways.ADAPTED_CLIP, "frozen CCA", FROZEN_CLIP, ways.FEW_PAIRS)
"""Methods of the short table."""


def command(
    seeds: Annotated[int, typer.Option(help="Training runs, each with its own cut of the concepts.")] = 5,
    style: Annotated[
        list[str] | None,
        typer.Option(help="The style without captions; may be repeated. openmoji where none is named."),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="This method only, one of those that are not in the table too; repeatable.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the captioned drawings; each method's own.")] = None,
    choose: Annotated[
        bool, typer.Option("--choose", help="Instead: the settings of each method on the concepts for choosing.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the records to this JSON file, or go on from it.")
    ] = None,
) -> None:
    """Recall@10 and accuracy of groups, means over seeds with 95% intervals, and paired differences."""
    styles = _named(style or [emoji.TARGET], samples.STYLES)
    methods = _named(method or list(ways.METHODS), ways.ALL)
    keeper = Keeper(out, lambda: fingerprint(samples.emoji()))
    result = keeper.records
    for seed, target, name in itertools.product(range(seeds), styles, methods):
        for variant, settings in _settings(name, epochs, choose):
            if any(r.method == variant and r.domain == target and r.seed == seed for r in result):
                continue
            result = result + measured(name, variant, seed, target, choose, **settings)
            keeper.write(result)
    print_tables(tables(result))


def _named(names: Sequence[str], allowed: Sequence[str] | dict) -> list[str]:
    if unknown := next((name for name in names if name not in allowed), None):
        raise UsageError(f"no {unknown!r}{nearest(unknown, allowed)}")
    return [name for name in allowed if name in names]


def _settings(name: str, epochs: int | None, choose: bool) -> Iterator[tuple[str, dict]]:
    """How a method is called in the records, and its settings: its own, or each of those that are tried."""
    way = ways.ALL[name]
    if not choose or not isinstance(way, ways.Trained):
        yield name, {} if epochs is None else {"epochs": epochs}
        return
    for tried in way.tried:
        label = f"{tried['epochs']} epochs" + (f", weight {tried['weight']}" if way.weights else "")
        yield f"{name}: {label}", tried


def measured(name: str, variant: str, seed: int, target: str, choose: bool, **settings) -> Result:
    """MEASURES and DOMAIN_ACCURACY of one model, in percent, as records with what chance gives.

    recall@10 is the mean over both languages and both directions between words and drawings.
    """
    began = time.process_time()
    protocol = emoji.cut(seed, target=target)
    model = ways.fit(name, protocol, seed, target=target, **settings)
    result = emoji.judge(name, model, protocol, seed, choosing=choose)
    words = [f"{t}->image" for t in ("en", "zh")] + [f"image->{t}" for t in ("en", "zh")]
    records = []
    for measure, split in MEASURES:
        group = measure == "group accuracy"
        metric, directions = ("group_accuracy", ["image"]) if group else (measure, words)
        found = list(result.where(split=split, metric=metric, direction=directions))
        value, chance = (100 * float(np.mean([getattr(r, part) for r in found])) for part in ("value", "chance"))
        records.append(_record(variant, target, seed, measure, split, value, chance, found[0].n))
    judged = protocol.choosing["known"] if choose else protocol.known
    source, target_z = (model.embed(rows.select("image"))["image"] for rows in (protocol.source, judged))
    style_accuracy = 100 * domain_accuracy(source, target_z, random_state=seed)
    records.append(_record(variant, target, seed, *DOMAIN_ACCURACY, style_accuracy, 50.0, len(judged)))
    summary = ", ".join(f"{record.metric} {record.split} {record.value:.1f}" for record in records)
    sys.stderr.write(f"{target} seed {seed} {variant}: {summary} ({time.process_time() - began:.0f} CPU-s)\n")
    return Result(records)


def _record(
    method: str, style: str, seed: int, measure: str, split: str, value: float, chance: float | None = None, n: int = 0
) -> Record:
    return Record(method, split, style, "image<->words", measure, value, None, None, chance, n, seed)


def tables(result: Result) -> dict[str, Table]:
    """ "short": measures by SHOWN methods of the first style. "all": all methods by measures, with what they gain."""
    return {"short": short(result, result.records[0].domain), "all": whole(result)}


def short(result: Result, style: str) -> Table:
    """One column a method; the best stands out where it is ahead of the next for sure, by how much stands last."""
    present = {record.method for record in result.where(domain=style)}
    methods = [name for name in SHOWN if name in present]
    lines = []
    for measure, split in MEASURES:
        records = list(result.where(domain=style, metric=measure, split=split))
        runs = {name: _runs(result, style, name, (measure, split)) for name in methods}
        best, difference = ahead_of_next(runs)
        cells = [with_interval(list(runs[name].values()), bounds=PERCENT) for name in methods]
        cells = [bold(cell) if name == best else cell for name, cell in zip(methods, cells, strict=True)]
        chance, n = (np.mean([getattr(record, part) for record in records]) for part in ("chance", "n"))
        lines.append([f"{measure}, {split} (of {n:.0f})", f"{chance:.1f}", *cells, difference])
    note = (
        f"Means of {_seeds(result)} seeds with 95% intervals; each seed cuts the concepts anew. Bold: ahead of the "
        "next best by the paired difference in the last column, whose interval leaves out 0."
    )
    return Table([f"{style}, percent", CHANCE, *methods, "ahead of the next best"], lines, note=note)


def whole(result: Result) -> Table:
    """One line a style and method: means with intervals over seeds, and what it gains, seed by seed paired."""
    measures = (f"{measure}, {split}" for measure, split in (*MEASURES, DOMAIN_ACCURACY))
    header = ["style", "percent", *measures, *(f"gain in {measure}, {split}" for measure, split in MEASURES)]
    lines = []
    for style, name in dict.fromkeys((record.domain, record.method) for record in result):
        runs = (_runs(result, style, name, at) for at in (*MEASURES, DOMAIN_ACCURACY))
        gains = (_gain(result, style, name, at) for at in MEASURES)
        lines.append([style, name, *(with_interval(list(values.values()), bounds=PERCENT) for values in runs), *gains])
    note = (
        f"Means [95% intervals], {_seeds(result)} seeds; each cuts the concepts anew. Gain: over {ways.CLIP}, of "
        f"what stands on frozen features over {FROZEN_CLIP}, by seed, with its share of that and p of a paired t-test."
    )
    return Table(header, sorted(lines, key=_place), labels=2, note=note)


def _place(line: Sequence[str]) -> tuple[int, int]:
    """Where a line stands: by style, then by method."""
    return samples.STYLES.index(line[0]), [*ways.ALL].index(line[1].partition(":")[0])


def _seeds(result: Result) -> int:
    return len({record.seed for record in result})


def _runs(result: Result, style: str, method: str, at: tuple[str, str]) -> dict[int | None, float]:
    """Seed -> value."""
    records = result.where(method=method, domain=style, metric=at[0], split=at[1])
    return {record.seed: record.value for record in records}


def _gain(result: Result, style: str, method: str, at: tuple[str, str]) -> str:
    """What a method is ahead of its plain rival, and its share of that."""
    rival = FROZEN_CLIP if ways.ALL[method.partition(":")[0]].frozen else ways.CLIP
    if method == rival:
        return ""
    runs, plain = (_runs(result, style, name, at) for name in (method, rival))
    return paired(runs, plain) if set(runs) & set(plain) else ""
