"""What training may see of the target domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bouba.data.characters import one_form
from bouba.data.views import Views
from bouba.errors import DataError, nearest

Target = str | Mapping[str, Sequence[str]]
"""A domain's name, or {name: the views of it that training may see}."""


def hide(views: Views, target: Target, *, random_state: int = 0) -> tuple[Views, np.ndarray]:
    """Drop everything that training must not know of the target domain.

    Labels, keys and groups of target rows are dropped, and all meta columns. Captions (text views) are dropped too
    when the target has other views, because a caption is an annotation; say {"openmoji": ["image", "en"]} to show
    them. Pairings are broken: every cell left becomes a row of its own, in random order.

    Args:
        views: rows of all domains. target: which one is the target.
        random_state: the order of the unpaired cells.

    Returns:
        The views, source rows first, and a mask (n,) that is True on target rows.

    Raises:
        DataError: no domain column, an unknown domain, nothing left of the target or of the source.
    """
    check_target(views, target)
    name, visible = _named(target)
    assert views.domain is not None  # it has the name
    of_target = np.asarray([str(d) == name for d in views.domain], dtype=np.bool_)
    if of_target.all():
        raise DataError(f"every row is of the target {name!r}; adaptation needs source rows with pairs or labels")
    visible = _default_views(views, of_target) if visible is None else [view for view in visible if len(views[view])]
    cells = [np.flatnonzero(of_target & views[view].present) for view in visible]
    if not sum(map(len, cells)):
        raise DataError(f"the target {name!r} has no cell in {visible}; nothing to adapt to")
    source = np.flatnonzero(~of_target)
    order = np.random.default_rng(random_state).permutation(sum(map(len, cells)))
    rows = np.concatenate([source, np.concatenate(cells)[order]])
    of_view = np.concatenate(
        [np.full(len(source), -1), np.repeat(np.arange(len(visible)), [len(c) for c in cells])[order]]
    )
    reordered = views[rows]
    is_target = of_view >= 0
    columns = {
        view: column.without(is_target & (of_view != (visible.index(view) if view in visible else -2)))
        for view, column in reordered.columns.items()
    }
    hidden = {
        "columns": columns,
        "y": {label: _blank(values, is_target) for label, values in reordered.y.items()},
        "key": None if reordered.key is None else _blank(reordered.key, is_target),
        "group": None if reordered.group is None else _blank(reordered.group, is_target),
        "meta": {},
    }
    return reordered.replace(**hidden), is_target


def check_target(views: Views, target: Target) -> None:
    """DataError unless the target is a domain of the views."""
    name, _ = _named(target)
    if name not in views.domains:
        raise DataError(f"no domain {name!r}{nearest(str(name), views.domains)}; name the column with domain=...")


def source_only(views: Views, target: Target) -> Views:
    """The rows that are not of the target: what may choose the best epoch, fit a probe or a baseline.

    Raises:
        DataError: there is none.
    """
    name, _ = _named(target)
    if views.domain is None:
        return views
    rows = np.flatnonzero(views.domain.astype(str) != name)
    if len(rows) < 2:
        raise DataError(
            f"there are {len(rows)} rows besides the target {name!r}, whose own rows must not judge or teach"
        )
    return views[rows]


def name_of(target: Target) -> str:
    """The target domain's name."""
    return _named(target)[0]


def _named(target: Target) -> tuple[str, Sequence[str] | None]:
    """The target's name, and the views of it that training may see; None for the default."""
    if isinstance(target, str):
        return one_form(target), None
    if len(target) != 1:
        raise DataError(f"one target at a time, got {list(target)}")
    [(name, visible)] = target.items()
    return one_form(str(name)), visible


def _default_views(views: Views, of_target: np.ndarray) -> list[str]:
    present = [name for name, column in views.columns.items() if (column.present & of_target).any()]
    return [name for name in present if views.modalities[name] != "text"] or present


def _blank(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    blank = values.astype(object)
    blank[rows] = None
    return blank
