"""Abilities that a model may have beyond those of evaluation.Model, as protocols that callers check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class GivesProbabilities(Protocol):
    """Classifies, as scikit-learn does."""

    def predict(self, X: Any) -> Any:
        """(n,) classes, or label -> (n,)."""

    def predict_proba(self, X: Any) -> Any:
        """(n, C), or label -> (n, C)."""


@runtime_checkable
class HasTemperature(Protocol):
    """Was trained with a temperature."""

    @property
    def temperature_(self) -> float | None:
        """What divides its similarities."""


@runtime_checkable
class HasTowers(Protocol):
    """Fitted, with a tower for each view."""

    specs_: Mapping[str, Any]
    learned_: Mapping[str, Any]
    codes_: Any
    module_: Any


@runtime_checkable
class NamesLabels(Protocol):
    """Names the label columns that it predicts."""

    @property
    def labels_(self) -> Sequence[str]:
        """Their names."""


@runtime_checkable
class NamesViews(Protocol):
    """Names the views that it was fitted on."""

    @property
    def kinds_(self) -> Mapping[str, str]:
        """view -> kind."""


def temperature_of(model: object) -> float | None:
    """What the model divides similarities by; None where it has none."""
    return model.temperature_ if isinstance(model, HasTemperature) else None
