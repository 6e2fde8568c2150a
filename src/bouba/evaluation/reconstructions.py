"""How much of each view comes back from the others?"""

from __future__ import annotations

from typing import Any

import numpy as np

from bouba.data.views import Views
from bouba.evaluation.environment import environment
from bouba.evaluation.model import Reconstructs
from bouba.evaluation.predictions import domains
from bouba.evaluation.result import Record, Result


def evaluate_reconstructions(
    model: Reconstructs,
    views: Views,
    *,
    method: str = "model",
    split: str = "test",
    by_domain: bool = True,
    seed: int | None = None,
) -> Result:
    """What a multimodal autoencoder gives back of each view, from all views of a row and from the others alone.

    Returns:
        Records "variance_explained", `direction` being "all-><view>" or "without <view>-><view>", over the rows that
        have the view (and another one). `chance` is 0, what the mean of the rows gives. There is no interval.
    """
    records = []
    for domain, rows in domains(views, by_domain):
        for name in views.columns:
            others = [other for other in views.columns if other != name]
            for source, asked in (("all", [*views.columns]), (f"without {name}", others)):
                part = _with(views[rows], name, asked)
                found = model.explained(part.select(*asked), part.select(name)) if asked and len(part) > 1 else {}
                if name in found:
                    where: dict[str, Any] = {
                        "method": method,
                        "split": split,
                        "domain": domain,
                        "direction": f"{source}->{name}",
                    }
                    where |= {"metric": "variance_explained", "seed": seed, "n": len(part)}
                    records.append(Record(**where, value=found[name], low=None, high=None, chance=0.0))
    return Result(records, environment(seed))


def _with(views: Views, name: str, asked: list[str]) -> Views:
    """The rows that have a view, and one of those asked."""
    some = np.any([views[other].present for other in asked], axis=0) if asked else False
    return views[np.flatnonzero(views[name].present & some)]
