"""bouba bench wrong-pairs: what wrong pairs cost, what a robust loss saves of it, and how many of them are found.

Noto drawings and their English captions as frozen encoders see them. A fifth of the concepts is held out for the test.
Of the other pairs a share is made wrong: their captions go round among them. Linear heads are trained on all of them,
by InfoNCE and by RobustInfoNCE as they come, and asked for the held-out partners, whose pairs are right. Settings were
chosen on rows of the training part.

The list of suspicious pairs, worst first, is made of all pairs, a share of them wrong; as many as are wrong are read.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Annotated, Any

import numpy as np
import torch
import typer

from bouba.bench.frozen_emoji import captioned_drawings, frozen_emoji, recall_at_10
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.bench.paired import Runs, mean, means, runs_of, seeds_note
from bouba.bench.wrong_pairs_list import found_in_the_worst, with_wrong_pairs
from bouba.data.split import split
from bouba.data.views import Views
from bouba.errors import UsageError
from bouba.evaluation import Record, Result
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.table import Table
from bouba.learner import Learner
from bouba.terms import InfoNCE, RobustInfoNCE
from bouba.towers import MLP

RECALL, FOUND = "recall@10", "found in the worst part"
OBJECTIVES = {"InfoNCE": InfoNCE(), "RobustInfoNCE": RobustInfoNCE()}
TRAINING: dict[str, Any] = {"dim": 128, "epochs": 30, "batch_size": 256}


def command(
    share: Annotated[list[float] | None, typer.Option(help="Share of wrong pairs, and again; 0 comes first.")] = None,
    seeds: Annotated[int, typer.Option(help="Cuts and shuffles.")] = 3,
    rows: Annotated[int | None, typer.Option(help="Training pairs; all if left out.")] = None,
    out: Out = None,
) -> None:
    """Recall@10 after training with wrong pairs by InfoNCE and RobustInfoNCE, and how many of these the list finds."""
    shares = sorted({0.0, *(share or (0.2, 0.4))})
    if not 0 <= shares[0] <= shares[-1] <= 1:
        raise UsageError(f"a share of wrong pairs lies between 0 and 1, got {', '.join(f'{s:g}' for s in shares)}")
    torch.set_num_threads(1)
    keeper = Keeper(out, lambda: fingerprint(captioned_drawings()))
    result = keeper.records
    views = frozen_emoji()
    for seed in range(seeds):
        if not result.where(seed=seed):
            result = (
                result + trained(views, shares, seed, rows) + listed(views[np.arange(len(views))[:rows]], shares, seed)
            )
            keeper.write(result)
            sys.stderr.write(f"seed {seed} is done\n")
    print_tables(tables(result))


def trained(views: Views, shares: list[float], seed: int, rows: int | None = None) -> Result:
    """recall@10 in percent by objective and share of wrong pairs.

    Args:
        views: two views of the same things, one row each. rows: pairs to train on, all of four fifths when None.
    """
    parts = split(views, {"train": 0.8, "test": 0.2}, random_state=seed)
    test, training = parts["test"], parts["train"]
    training = training[np.random.default_rng(seed).permutation(len(training))[:rows]].replace(key=None, group=None)
    records = []
    with _quiet():
        for share, (name, objective) in product(shares, OBJECTIVES.items()):
            wrong, _ = with_wrong_pairs(training, share, seed)
            towers = dict.fromkeys(views.columns, MLP(()))
            model = Learner(towers, objective, random_state=seed, **TRAINING).fit(wrong)
            value, chance = recall_at_10(model.embed(test)), 1000 / len(test)
            split_name = f"{share:g} wrong"
            records.append(Record(name, split_name, "noto", "both", RECALL, value, None, None, chance, len(test), seed))
    return Result(records)


def listed(views: Views, shares: list[float], seed: int) -> Result:
    """Percent of the wrong pairs that the list of suspicious ones has among its worst, by share of wrong pairs."""
    values = {share: 100 * found_in_the_worst(views, share, seed) for share in shares if share > 0}
    return Result(
        [
            Record("list", f"{share:g} wrong", "noto", "both", FOUND, x, None, None, 100 * share, len(views), seed)
            for share, x in values.items()
        ]
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings that a loss stands still: that is what is measured."""
    log = logging.getLogger("bouba")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def tables(result: Result) -> dict[str, Table]:
    """ "recall": objectives by share of wrong pairs. "list": how many wrong pairs stand in its worst part."""
    recall, found = result.where(metric=RECALL), result.where(metric=FOUND)
    splits = list(dict.fromkeys(record.split for record in recall))
    runs = {split: {name: runs_of(recall, method=name, split=split) for name in OBJECTIVES} for split in splits}
    shares = {split: float(split.split()[0]) for split in splits}
    cells = [means(runs[split]) for split in splits]
    cells.append(means({name: _kept(runs[splits[0]][name], runs[splits[-1]][name]) for name in OBJECTIVES}, 0))
    first = next(iter(recall))
    worst = f"{100 * shares[splits[-1]]:g}% wrong"
    note = (
        f"{seeds_note(recall)} Held-out pairs, which are right; mean of both directions among {first.n} new drawings, "
        f"by chance {first.chance or 0:.1f}. Kept: with {worst}, percent of what there is with none. "
        "Settings were chosen on rows of the training part."
    )
    header = ["recall@10, percent", *(f"{100 * share:g}% wrong" for share in shares.values()), f"kept at {worst}"]
    whole = Table(header, [[name, *(column[name] for column in cells)] for name in OBJECTIVES], note=note)
    lines = []
    for part in dict.fromkeys(record.split for record in found):
        share = f"{100 * shares[part]:g}"
        lines.append([f"{share}%", mean(runs_of(found, split=part), 0), share])
    note = f"{seeds_note(found, bold=False)} Found: among the worst of the list, as many as are wrong."
    return {"recall": whole, "list": Table(["pairs made wrong", "found, percent", "by chance"], lines, note=note)}


def _kept(clean: Runs, worst: Runs) -> Runs:
    return {seed: 100 * worst[seed] / value for seed, value in clean.items()}
