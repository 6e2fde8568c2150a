"""Class names as embeddings: what zero-shot classification compares with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bouba.data.views import Column, Views
from bouba.errors import UsageError
from bouba.evaluation.model import Embeds


def class_embeddings(
    model: Embeds,
    classes: Sequence[str],
    *,
    view: str,
    templates: Sequence[str] = ("{}",),
    names: Mapping[str, str] | None = None,
) -> np.ndarray:
    """One embedding a class: the mean over templates of the unit embeddings of the class said in each.

        c = mean_t  z(t(name)) / |z(t(name))|

    Args:
        model: fitted, with `embed`. classes: C labels. view: the text view that reads the sentences.
        templates: sentences with {} where the name goes, "a drawing of a {}".
        names: label -> how it is said; else the label itself, its - and _ as blanks.

    Returns:
        (C, d).

    Raises:
        UsageError: a template without {}, or no template.

    Reference: Radford et al. 2021, section 3.1.4 (prompt ensembling).
    """
    if not templates or isinstance(templates, str):
        raise UsageError(f"templates is a sequence of sentences, got {templates!r}")
    for template in templates:
        if "{}" not in template:
            raise UsageError(f"a template needs {{}} where the class name goes, got {template!r}")
    words = [(names or {}).get(c, str(c).replace("-", " ").replace("_", " ")) for c in classes]
    total: Any = 0.0
    for template in templates:
        sentences = Column.of([template.replace("{}", name) for name in words], "text")
        z = np.asarray(model.embed(Views({view: sentences}))[view])
        length = np.linalg.norm(z, axis=1, keepdims=True)
        total = total + (z / np.maximum(length, 1e-12) if len(templates) > 1 else z)
    return np.asarray(total) / len(templates)
