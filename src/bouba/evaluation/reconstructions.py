"""How much of each view comes back from the others?"""

from __future__ import annotations

import numpy as np

from bouba.data.views import Views
from bouba.evaluation.environment import environment
from bouba.evaluation.fingerprint import fingerprint
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
            for source, inputs in (("all", [*views.columns]), (f"without {name}", others)):
                part = _rows_with(views[rows], name, inputs)
                explained = model.explained(part.select(*inputs), part.select(name)) if inputs and len(part) > 1 else {}
                if name in explained:
                    records.append(
                        Record(
                            method=method,
                            split=split,
                            domain=domain,
                            direction=f"{source}->{name}",
                            metric="variance_explained",
                            value=explained[name],
                            low=None,
                            high=None,
                            chance=0.0,
                            n=len(part),
                            seed=seed,
                        )
                    )
    return Result(records, environment(seed, fingerprint(views)))


def _rows_with(views: Views, name: str, inputs: list[str]) -> Views:
    """The rows that have a view, and one of the inputs or more."""
    any_input = np.any([views[other].present for other in inputs], axis=0) if inputs else False
    return views[np.flatnonzero(views[name].present & any_input)]
