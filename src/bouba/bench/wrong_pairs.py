"""bouba bench wrong-pairs: what wrong pairs cost, what a robust loss saves of it, and how many of them are found.

Noto drawings and their English captions as frozen encoders see them. A fifth of the concepts is held out for the test.
Of the other pairs a share is made wrong: their captions go round among them. Linear heads are trained on all of them,
by InfoNCE and by RobustInfoNCE as they come, and asked for the held-out partners, whose pairs are right. Settings were
chosen on rows of the training part.

The list of suspicious pairs, worst first, is made of all pairs, a share of them wrong; as many as are wrong are read.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from bouba.bench.frozen_emoji import frozen_emoji, recall_at_10
from bouba.bench.wrong_pairs_list import found_in_the_worst, with_wrong_pairs
from bouba.data.views import Views
from bouba.errors import UsageError
from bouba.evaluation import environment
from bouba.evaluation.table import text_table, with_interval
from bouba.learner import Learner
from bouba.terms import InfoNCE, RobustInfoNCE
from bouba.towers import MLP

OBJECTIVES = {"InfoNCE": InfoNCE(), "RobustInfoNCE": RobustInfoNCE()}
TRAINING: dict[str, Any] = {"dim": 128, "epochs": 30, "batch_size": 256}


def command(
    share: Annotated[list[float] | None, typer.Option(help="Share of wrong pairs, and again; 0 comes first.")] = None,
    seeds: Annotated[int, typer.Option(help="Cuts and shuffles.")] = 3,
    rows: Annotated[int | None, typer.Option(help="Training pairs; all if left out.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the figures to this JSON file.")] = None,
) -> None:
    """Recall@10 after training with wrong pairs by InfoNCE and RobustInfoNCE, and how many of these the list finds."""
    shares = sorted({0.0, *(share or (0.2, 0.4))})
    if not 0 <= shares[0] <= shares[-1] <= 1:
        raise UsageError(f"a share of wrong pairs lies between 0 and 1, got {', '.join(f'{s:g}' for s in shares)}")
    torch.set_num_threads(1)
    views = frozen_emoji()
    measured = measure(views, shares, range(seeds), rows)
    listed = views[np.arange(len(views))[:rows]]
    measured["found"] = {f"{s:g}": found_in_the_worst(listed, s, range(seeds)) for s in shares if s > 0}
    typer.echo(page(measured))
    if out is not None:
        out.write_text(json.dumps(measured, indent=1), encoding="utf-8")


def measure(views: Views, shares: list[float], seeds: range, rows: int | None = None) -> dict[str, Any]:
    """Objective -> share of wrong pairs -> recall@10 in percent, a number a seed.

    Args:
        views: two views of the same things, one row each. rows: pairs to train on, all of four fifths when None.
    """
    log = logging.getLogger("bouba")
    level = log.level
    log.setLevel(logging.ERROR)  # that a loss stands still is what is measured
    try:
        return _measured(views, shares, seeds, rows)
    finally:
        log.setLevel(level)


def _measured(views: Views, shares: list[float], seeds: range, rows: int | None) -> dict[str, Any]:
    recall: dict[str, dict[str, list[float]]] = {name: {f"{s:g}": [] for s in shares} for name in OBJECTIVES}
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(views))
        test, training = views[order[: len(order) // 5]], views[order[len(order) // 5 :][:rows]]
        for share in shares:
            wrong, _ = with_wrong_pairs(training, share, seed)
            for name, objective in OBJECTIVES.items():
                towers = dict.fromkeys(views.columns, MLP(()))
                model = Learner(towers, objective, random_state=seed, **TRAINING).fit(wrong.replace(key=None))
                recall[name][f"{share:g}"].append(recall_at_10(model.embed(test)))
        sys.stderr.write(f"seed {seed} is done\n")
    return {"recall@10": recall, "seeds": len(seeds), "training": TRAINING, "environment": environment(seeds.start)}


def page(measured: dict[str, Any]) -> str:
    """The figures as a table."""
    recall = measured["recall@10"]
    shares = list(next(iter(recall.values())))
    header = ["objective", *(f"{100 * float(share):g}% wrong" for share in shares), "kept by seed"]
    lines = [
        [name, *(with_interval(by_share[share]) for share in shares), _kept(by_share[shares[0]], by_share[shares[-1]])]
        for name, by_share in recall.items()
    ]
    note = f"Kept: recall@10 with {100 * float(shares[-1]):g}% wrong pairs as a share of that with none."
    found = [
        [f"{100 * float(share):g}% wrong", *(f"{100 * part:.0f}%" for part in by_seed)]
        for share, by_seed in measured["found"].items()
    ]
    listed = text_table(["of all wrong pairs", *(f"seed {seed}" for seed in range(measured["seeds"]))], found, labels=1)
    recalled = f"Recall@10 of held-out pairs, percent\n{text_table(header, lines, labels=1)}\n\n{note}"
    return f"{recalled}\n\nIn the worst of the list, as many as are wrong\n{listed}"


def _kept(clean: list[float], worst: list[float]) -> str:
    return " ".join(f"{100 * after / before:.0f}%" for before, after in zip(clean, worst))
