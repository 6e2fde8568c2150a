"""bouba bench wrong-pairs: what wrong pairs cost, and what a robust loss saves of it.

Noto drawings and their English captions as frozen encoders see them. A fifth of the concepts is held out for the test.
Of the other pairs a share is made wrong: their captions go round among them. Linear heads are trained on all of them,
by InfoNCE and by RobustInfoNCE as they come, and asked for the held-out partners, whose pairs are right. Settings were
chosen on rows of the training part.
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
    """Recall@10 of held-out pairs after training with wrong ones, by InfoNCE and by RobustInfoNCE."""
    shares = sorted({0.0, *(share or (0.2, 0.4))})
    if not 0 <= shares[0] <= shares[-1] <= 1:
        raise UsageError(f"a share of wrong pairs lies between 0 and 1, got {', '.join(f'{s:g}' for s in shares)}")
    torch.set_num_threads(1)
    measured = measure(frozen_emoji(), shares, range(seeds), rows)
    typer.echo(page(measured))
    if out is not None:
        out.write_text(json.dumps(measured, indent=1), encoding="utf-8")


def measure(views: Views, shares: list[float], seeds: range, rows: int | None = None) -> dict[str, Any]:
    """Objective -> share of wrong pairs -> recall@10 in percent, a number a seed.

    Args:
        views: two views of the same things, one row each. rows: pairs to train on, all of four fifths when None.
    """
    logging.getLogger("bouba").setLevel(logging.ERROR)  # that a loss stands still is what is measured
    recall: dict[str, dict[str, list[float]]] = {name: {f"{s:g}": [] for s in shares} for name in OBJECTIVES}
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(views))
        test, training = views[order[: len(order) // 5]], views[order[len(order) // 5 :][:rows]]
        for share in shares:
            wrong = shuffled(training, share, seed)
            for name, objective in OBJECTIVES.items():
                towers = dict.fromkeys(views.columns, MLP(()))
                model = Learner(towers, objective, random_state=seed, **TRAINING).fit(wrong.replace(key=None))
                recall[name][f"{share:g}"].append(recall_at_10(model.embed(test)))
        sys.stderr.write(f"seed {seed} is done\n")
    return {"recall@10": recall, "seeds": len(seeds), "training": TRAINING, "environment": environment(seeds.start)}


def shuffled(views: Views, share: float, seed: int) -> Views:
    """The rows, the second views of a share of which go round among them, so that each of these is wrong."""
    second = list(views.columns)[1]
    rows = np.random.default_rng(seed).choice(len(views), round(share * len(views)), replace=False)
    partner = np.arange(len(views))
    partner[rows] = np.roll(rows, 1)
    return views.replace(columns={**views.columns, second: views[second].take(partner)})


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
    return f"Recall@10 of held-out pairs, percent\n{text_table(header, lines, labels=1)}\n\n{note}"


def _kept(clean: list[float], worst: list[float]) -> str:
    return " ".join(f"{100 * after / before:.0f}%" for before, after in zip(clean, worst))
