"""Source-free adaptation: a fitted model and new rows without labels; the rows it was trained on are not needed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from bouba.adapt.evidence import read_by
from bouba.data.views import Column, Views
from bouba.device import device_named, random_state_kept, running_on
from bouba.errors import DataError, UsageError
from bouba.learner import BaseLearner
from bouba.learner.building import build_network
from bouba.learner.training_data import TrainingData
from bouba.terms import CentroidLabels, Entropy, Objective, Term
from bouba.train import Saving, Schedule

FEWEST = 16  # rows below which shares of classes say nothing


def source_free(
    model: BaseLearner,
    views: Views,
    *,
    objective: Term | Objective | None = None,
    epochs: int = 10,
    lr: float = 5e-4,
    batch_size: int | None = None,
    device: str = "auto",
    random_state: int = 0,
    folder: Path | None = None,
    on_epoch: Callable[[dict], None] | None = None,
) -> BaseLearner:
    """A copy of a fitted model whose towers suit new rows, learnt from these alone; its heads stay as they are.

        min over towers  mean_i H(p_i) + ln K - H(mean_i p_i) + 0.3 * cross-entropy to the class of the nearest centre

    Use it where the old rows are gone, may not leave their place, or are too many: a saved model is all it takes.
    Where they are at hand, fit DANN, or HeadAdapter, which takes seconds. Only rows that look different are learnt:
    classes are those that the model knows, and by Entropy they are expected about equally often; where they are not,
    give `objective=MinimumClassConfusion()`, or `Entropy(diversity=0.3) + 0.3 * CentroidLabels()`.

    Args:
        model: fitted, with a Prediction of classes among its terms. views: new rows; nothing but their cells is read.
        objective: of rows without labels, in place of the one above.
        epochs, lr, batch_size: of this training. device: where it computes. random_state: of the order of rows.
        folder: where history and checkpoint go. on_epoch: called with each history row.

    Returns:
        A model of the same class and arguments; its `history_` is that of this training.

    Raises:
        UsageError: a model that predicts no class. DataError: fewer than 16 rows that it can read.

    Reference: Liang, Hu and Feng 2020, Do We Really Need to Access the Source Data? Source Hypothesis Transfer (SHOT),
    equations 3 to 7. Departures: see Entropy and CentroidLabels; AdamW.
    """
    import torch

    from bouba.learner.training import train_network

    if not isinstance(model, BaseLearner) or not model.predicts or not (model.codes_.classes or {}):
        raise UsageError(f"{type(model).__name__} predicts no class, and by classes it would adapt; fit a classifier")
    views = _cells_alone(model, model.read(views))
    rows = np.flatnonzero(np.any(list(views.present.values()), axis=0))
    if len(rows) < FEWEST:
        raise DataError(f"{len(rows)} rows have a view that the model reads; {FEWEST} or more are needed to adapt")
    views = views[rows]
    adapted = copy.deepcopy(model)
    with running_on(device), random_state_kept(device_named()):
        torch.manual_seed(random_state)
        network = _network(adapted, objective or Entropy() + 0.3 * CentroidLabels())
        network.to(device_named())
        batch_size = min(len(views), batch_size or min(256, max(32, len(views) // 8)))
        adapted.history_ = train_network(
            network,
            {name: tower.encoder for name, tower in network.towers.items()},
            replace(adapted.codes_, domains=()),
            TrainingData(views, is_target=np.zeros(len(views), bool)),
            Schedule(epochs, lr, 0.0),
            device=device,
            compiles=False,
            batch_size=batch_size,
            random_state=random_state,
            title=None,
            specs=adapted.specs_,
            saving=None if folder is None else Saving(folder),
            on_epoch=on_epoch,
        )
        for part in ("towers", "fusion"):
            if getattr(network, part) is not None:
                getattr(adapted.module_, part).load_state_dict(getattr(network, part).state_dict())
    return adapted


def _cells_alone(model: BaseLearner, views: Views) -> Views:
    """Every view of the model, one that is not there without a cell; no labels, keys, groups and domains: how a new
    domain is normalised is learnt with it."""
    views, absent = read_by(model, views), np.zeros(len(views), bool)
    blank = {name: Column.of([None] * len(views), kind, absent) for name, kind in model.kinds_.items()}
    columns = {name: views.columns.get(name, empty) for name, empty in blank.items()}
    return views.replace(columns=columns, y={}, key=None, group=None, domain=None)


def _network(model: BaseLearner, objective: Term | Objective):
    """Towers and fusion of a model with its heads, which stay as they are, and an objective for rows without labels."""
    own = model._objective()
    predicting = [place for place, (_, term) in enumerate(own) if term.needs().predicts]
    terms = tuple((1.0, own.terms[place][1]) for place in predicting)  # they find no label, and cost nothing
    network = build_network(
        model.specs_,
        model.learned_,
        model.codes_,
        Objective(terms) + Objective.of(objective),
        dim=model.dim,
        domain_norm=model.domain_norm,
        fusion=model.fusion,
        chunk_size=model.chunk_size,
    )
    for place, before in enumerate(predicting):
        network.state[place].load_state_dict(model.module_.state[before].state_dict())
        network.state[place].requires_grad_(False)
    network.towers.load_state_dict(model.module_.towers.state_dict())
    if network.fusion is not None:
        network.fusion.load_state_dict(model.module_.fusion.state_dict())  # type: ignore[union-attr]
    return network
