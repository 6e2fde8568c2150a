"""A row of the table of methods."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from bouba.runs.spans import Span


@dataclass(frozen=True)
class Method:
    """What a person and a program should know of a method before it is fitted.

    Args:
        name: as in recipes and records. estimator: "room.Class" inside bouba.
        title: for people. sentence: what it does, to be read after its title.
        use_when: when to choose it.
        needs_label: whether it learns a label column; `several_labels`, whether it takes more than one.
        needs_target: whether it adapts to a domain without labels and has to know which.
        needs_views: the fewest views that a row can teach it by. unpaired: whether it learns from two views without a
            row that has both.
        takes_fusion: whether its views may become one vector a row.
        translates: whether it makes one view from another.
        solved: whether it has a closed form and is not trained.
        judges_epochs: whether a loss on held-out rows says which epoch was best.
        rivals: names of RIVALS and METHODS that are measured beside it on the same rows.
        no_rival: why nothing is, for those without. instead: what to do where it stands beside a model and is no worse.
        frozen_by_default: whether frozen encoders read its views where rows are few and nobody names towers.
        centres_domains: whether it takes a target, solved as it is, and removes the mean of each domain.
        shares_encoders: whether views that one frozen encoder reads share what is learnt of them.
        predicts: "class", "number" or "labels", what it learns of a label, where it needs one.
        spans: argument -> the values that a search tries, where they are not those of runs/tuning/space.py.
        most_searched: rows above which a search tries it only where it is named.
    """

    name: str
    estimator: str
    title: str
    sentence: str
    use_when: str = ""
    needs_label: bool = False
    several_labels: bool = False
    needs_target: bool = False
    needs_views: int = 1
    unpaired: bool = False
    takes_fusion: bool = False
    translates: bool = False
    solved: bool = False
    judges_epochs: bool = True
    rivals: tuple[str, ...] = ()
    no_rival: str = ""
    instead: str = ""
    frozen_by_default: bool = False
    centres_domains: bool = False
    shares_encoders: bool = False
    predicts: str = ""
    spans: Mapping[str, Span] = field(default_factory=dict)
    most_searched: float = float("inf")

    @property
    def cls(self) -> type:
        """Its estimator, imported when asked for."""
        room, _, name = self.estimator.rpartition(".")
        return getattr(importlib.import_module(f"bouba.{room}"), name)

    @property
    def needs(self) -> str:
        """What a table must have, in a few words."""
        views = "two views of which one can be made" if self.translates else "two views" if self.needs_views > 1 else ""
        views = "two views, no pair" if self.unpaired else views
        label = ("labels" if self.several_labels else "a label") if self.needs_label else ""
        target = "a target domain" if self.needs_target else ""
        return ", ".join(filter(None, (views, label, target))) or "one view"
