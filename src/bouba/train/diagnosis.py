"""Is it learning? Numbers of each batch, and a sentence when they look wrong."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch.nn.functional import normalize

from bouba.batch import Batch, picked
from bouba.terms.rows import equals
from bouba.terms.term import Parts

COLLAPSED = 0.95  # mean cosine of two cells of one view
AT_CHANCE, SOLVED = 0.98, 0.01  # the loss as a share of what rows that all look alike cost
REPEATED = 0.5


@torch.no_grad()
def measure(batch: Batch) -> Parts:
    """What a batch looks like after the towers.

        similarity.<view>  mean cosine of two different cells: 1 where the view has collapsed to a point
        gap                mean over pairs of views of |mean u_a - mean u_b|, u = z / |z|: the modality gap, in [0, 2]
        repeats            share of rows whose key another row of the batch has too; only where keys are known

    Reference: Liang et al. 2022, Mind the Gap (the modality gap).
    """
    parts: Parts = {}
    centres = {}
    for name, z in batch.z.items():
        u = normalize(picked(z, batch.rows_with(name)), eps=1e-6)
        n = len(u)
        if n > 1:
            total, flat = u.sum(0), u.flatten()
            centres[name] = total / n
            diagonal = flat.dot(flat)  # cosines of cells with themselves
            parts[f"similarity.{name}"] = (total.dot(total) - diagonal) / (n * (n - 1))
    gaps = [torch.dist(centres[a], centres[b]) for a, b in itertools.combinations(centres, 2)]
    if gaps:
        parts["gap"] = sum(gaps[1:], start=gaps[0]) / len(gaps)
    if batch.key is not None:
        keys = picked(batch.key, batch.rows_where(_have_key))
        if len(keys):
            parts["repeats"] = (equals(keys) > 1).float().mean()
    return parts


def _have_key(batch: Batch) -> torch.Tensor:
    assert batch.key is not None, "asked of batches with keys"
    return batch.key >= 0


def verdicts(row: Mapping[str, float]) -> dict[str, str]:
    """Problem -> warning, of what looks wrong in a history row; empty where all is well. Early epochs may look bad."""
    warnings = {}
    for name, value in row.items():
        term, _, part = name.rpartition(".")
        if name.startswith("similarity.") and value > COLLAPSED:
            warnings[f"collapsed {part}"] = (
                f"the embeddings of {part!r} have collapsed: two of them at random have cosine {value:.2f}. "
                "Lower lr, raise batch_size, or see whether its cells are all alike"
            )
        elif part == "of_chance" and value > AT_CHANCE:
            warnings[f"{term} at chance"] = (
                f"{term} stands at {value:.2f} of what guessing costs: nothing is learnt yet. "
                "See whether the pairs are right, then try another lr or more epochs"
            )
        elif part == "of_chance" and value < SOLVED:
            warnings[f"{term} solved"] = (
                f"{term} is solved: {value:.3f} of what guessing costs. More epochs teach nothing; raise batch_size, "
                "and see whether one view gives the pair away, as a file name in a caption does"
            )
    if row.get("repeats", 0.0) > REPEATED:
        warnings["repeats"] = (
            f"{row['repeats']:.0%} of a batch's rows show what another of its rows shows; "
            "these are no negatives of each other, so few are left: lower batch_size or name a finer key"
        )
    return warnings
