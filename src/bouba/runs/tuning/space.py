"""What a search tries, as data: the values of every argument by its name, and the encoders of every kind of cell.

A method that has an argument of such a name joins the search by that alone; one that needs other values names them in
`spans` of its row in the table of methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bouba.runs.spans import Between, OneOf, Span, Times

ARGUMENTS: Mapping[str, Span] = {
    "epochs": Times(0.5, 2, whole=True),
    "lr": Times(0.25, 4),
    "dim": Times(0.25, 2, whole=True),
    "batch_size": OneOf(32, 64, 128, 256),
    "weight_decay": Between(1e-3, 0.5, log=True),
    "temperature": Times(0.4, 2.5),
    "weight": Times(0.1, 3),
    "alone": Between(0.0, 1.0),
    "smoothing": Between(0.0, 0.2),
    "hidden": OneOf(64, 128, 256, 512),
    "class_weight": OneOf("balanced"),
    "conditional": OneOf(False, True),
    "reconstruction": Between(0.0, 1.0),
    "ridge": Between(1e-3, 0.95, log=True),
    "n_components": OneOf(8, 16, 32, 64, 128),
    "features": OneOf(50, 100, 200, 400),
    "power": Times(0.5, 2),
    "largest": Times(0.25, 4, whole=True),
    "self_learning": OneOf(0, 2),
    "beta": Times(0.25, 4),
}
"""Argument of a constructor -> the values that are tried beside the usual one."""

ENCODERS: Mapping[str, tuple[str, ...]] = {
    "image": ("ConvNet", "ResNet"),
    "text": ("NGrams", "WordVectors", "LSTM"),
    "vector": ("MLP",),
    "audio": ("CRNN",),
    "video": ("Frames",),
    "table": ("Tabular",),
}
"""Kind of cell -> encoders of bouba.towers that are trained from scratch; packaged ones that are installed are tried
too."""


@dataclass(frozen=True)
class Dimension:
    """One setting of one method that a search varies.

    Args:
        name: "arguments.lr", "fusion" or "towers.VIEW". usual: its value in the plain run. span: of its values.
    """

    name: str
    usual: Any
    span: Span

    def draw(self, trial: Any, prefix: str) -> Any:
        """A value of a trial of optuna's."""
        return self.span.draw(trial, f"{prefix}.{self.name}", self.usual)

    @property
    def holds_usual(self) -> bool:
        """Whether the plain run is a point of the space, from which the search can learn."""
        return self.span.holds(self.usual)


def dimensions_of_arguments(
    usual: Mapping[str, Any], own: Mapping[str, Span], fixed: Mapping[str, Any]
) -> list[Dimension]:
    """The arguments of a method that are searched, those with a span of their own or of their name.

    Args:
        usual: argument -> its default. own: the spans of the method's row. fixed: what the recipe says, and stays.
    """
    spans = {**ARGUMENTS, **own}
    names = [name for name in usual if name in spans and name not in fixed]
    return [
        Dimension(f"arguments.{name}", usual[name], spans[name]) for name in names if spans[name].suits(usual[name])
    ]
