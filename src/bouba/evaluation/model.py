"""What evaluation needs of a model: attributes that name its abilities, and for each the methods behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from bouba.data.views import Views


@runtime_checkable
class Embeds(Protocol):
    """Turns Views into embeddings, ours or not."""

    def embed(self, X: Views) -> Mapping[str, np.ndarray]:
        """view -> (n, d)."""


@runtime_checkable
class Fuses(Protocol):
    """Turns the views of a row into one vector."""

    def fuse(self, X: Views) -> np.ndarray:
        """(n, d), from whichever views each row has."""


@runtime_checkable
class PredictsLabels(Protocol):
    """Predicts label columns from any subset of the views."""

    def outputs(self, X: Views, subsets: Sequence[Iterable[str]] | None = None) -> Mapping[str, np.ndarray]:
        """label -> (n, subsets, C) log probabilities, or (n, subsets) numbers; a prior where a row has no view."""

    def classes(self, label: str) -> np.ndarray:
        """The classes (C,) of a label."""


@runtime_checkable
class Reconstructs(Protocol):
    """Reconstructs its views, and measures how well."""

    def explained(self, X: Views, truth: Views | None = None) -> Mapping[str, float]:
        """view -> 1 - squared error / variance of the views in `truth`, from those in X."""


@runtime_checkable
class Translates(Protocol):
    """Makes items of one view from another."""

    source_: str
    target_: str

    def translate(self, X: Views, n: int = 1, *, random_state: int = 0) -> np.ndarray:
        """n items for each row, (rows, n, ...)."""

    def truth(self, X: Views) -> np.ndarray:
        """The target of each row in the same form, (rows, ...)."""


@runtime_checkable
class Model(Embeds, Protocol):
    """A fitted model whose attributes name its abilities, as every estimator of bouba; see `as_model` for others."""

    @property
    def kinds_(self) -> Mapping[str, str]:
        """view -> kind, of the views it was fitted on."""

    @property
    def aligns(self) -> bool:
        """Whether its views share one space, so that one finds another."""

    @property
    def fuses(self) -> bool:
        """Whether it has the method of Fuses."""

    @property
    def predicts(self) -> bool:
        """Whether it has the methods of PredictsLabels, and labels to predict."""

    @property
    def reconstructs(self) -> bool:
        """Whether it has the method of Reconstructs."""

    @property
    def translates(self) -> bool:
        """Whether it has the methods of Translates."""

    @property
    def compared_by(self) -> str:
        """How its embeddings are compared: "cosine", "dot" or "euclidean"."""

    @property
    def searchable(self) -> tuple[str, ...]:
        """The views by which rows can be found."""


@dataclass(frozen=True)
class ForeignModel:
    """Somebody else's model with the attributes of Model; every other attribute is that of the wrapped model."""

    wrapped: Any
    kinds_: Mapping[str, str]
    aligns: bool
    fuses: bool
    predicts: bool
    reconstructs: bool
    translates: bool
    compared_by: str
    searchable: tuple[str, ...]

    def embed(self, X: Views) -> Mapping[str, np.ndarray]:
        """view -> (n, d)."""
        return self.wrapped.embed(X)

    def __getattr__(self, name: str) -> Any:
        if name == "wrapped" or name.startswith("__"):  # looked up before there are fields, while it is copied
            raise AttributeError(name)
        return getattr(self.wrapped, name)


def as_model(candidate: object) -> Model:
    """A model of bouba as it is; any other one wrapped, so that it has those attributes.

    Args:
        candidate: fitted. Whichever attributes of Model it has are taken from it.

    Returns:
        Its views share one space, and are compared by cosine, unless its attributes differ; it fuses, predicts,
        reconstructs or translates where it has the methods. `kinds_` and `searchable` are empty where it has none.

    >>> class Identity:
    ...     compared_by = "dot"
    ...     def embed(self, X):
    ...         return dict(X.columns)
    >>> model = as_model(Identity())
    >>> model.aligns, model.predicts, model.compared_by
    (True, False, 'dot')
    """
    if isinstance(candidate, Model):
        return candidate
    defaults: dict[str, Any] = {
        "kinds_": {},
        "aligns": True,
        "fuses": isinstance(candidate, Fuses),
        "predicts": isinstance(candidate, PredictsLabels),
        "reconstructs": isinstance(candidate, Reconstructs),
        "translates": isinstance(candidate, Translates),
        "compared_by": "cosine",
        "searchable": (),
    }
    attributes = {name: getattr(candidate, name, default) for name, default in defaults.items()}
    return ForeignModel(candidate, **attributes)
