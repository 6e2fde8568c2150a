"""Model soups: the weights of several models, averaged into one."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bouba.errors import UsageError
from bouba.learner.base import BaseLearner

if TYPE_CHECKING:
    from bouba.data.views import Views


log = logging.getLogger("bouba")


@dataclass(frozen=True)
class Soup:
    """One model of the weights of several.

    Args:
        model: of the class of the others, which costs what one of them costs.
        chosen: places, from 0, of the models that went in, best first; all of them in order where nothing was judged.
        scores: of each model by itself, in order; () where nothing was judged.
        score: of the soup; None likewise.
    """

    model: Any
    chosen: tuple[int, ...]
    scores: tuple[float, ...] = ()
    score: float | None = None


def soup_of(models: Sequence[Any], validation: Views | None = None) -> Soup:
    """The soup of fitted models; see `bouba.soup`."""
    _refuse_unlike(models)
    if validation is None:
        return Soup(_averaged(models), tuple(range(len(models))))
    scores = tuple(float(model.score(validation)) for model in models)
    best, *others = sorted(range(len(models)), key=lambda place: -scores[place])
    chosen, mixed, score = [best], copy.deepcopy(models[best]), scores[best]
    for place in others:
        tried = _averaged([models[each] for each in (*chosen, place)])
        if (new := float(tried.score(validation))) >= score:
            chosen, mixed, score = [*chosen, place], tried, new
    return Soup(mixed, tuple(chosen), scores, score)


def _averaged(models: Sequence[Any]) -> Any:
    """A copy of the first, every floating number the mean over the models."""
    mixed = copy.deepcopy(models[0])
    states = [model.module_.state_dict() for model in models]
    for name, tensor in mixed.module_.state_dict().items():
        if tensor.is_floating_point():
            total = sum(state[name].double().to(tensor.device) for state in states)
            tensor.copy_(total / len(states))  # type: ignore[operator]
    mixed.history_ = []
    return mixed


def _refuse_unlike(models: Sequence[Any]) -> None:
    """UsageError for fewer than two models, and for some whose weights do not stand for the same."""
    if len(models) < 2:
        raise UsageError(f"a soup takes two models or more, got {len(models)}")
    first = models[0]
    for place, model in enumerate(models):
        if not isinstance(model, BaseLearner):
            raise UsageError(f"a soup is of trained models, and model {place} is a {type(model).__name__}")
        if type(model) is not type(first):
            raise UsageError(f"a soup is of one method, got {type(first).__name__} and {type(model).__name__}")
        for what, ours, theirs in (
            ("towers", first.specs_, model.specs_),
            ("labels and domains", first.codes_, model.codes_),
            ("what its encoders read of the training cells", first.learned_, model.learned_),
            ("sizes", _sizes(first), _sizes(model)),
        ):
            if ours != theirs:
                raise UsageError(
                    f"models 0 and {place} differ in {what}; a soup is of models that begin alike and are trained "
                    "with other settings"
                )
    if len({model.random_state for model in models}) > 1:
        log.warning("models of a soup began with other weights (random_state); their average is seldom as good as one")


def _sizes(model: BaseLearner) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.module_.state_dict().items()}
