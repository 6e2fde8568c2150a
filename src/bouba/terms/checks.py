"""What terms check before they compute, with the messages of their refusals; and the precision they take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bouba.device import waits
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.metrics.similarity import SIMILARITIES
from bouba.terms.term import Pairs, Space

if TYPE_CHECKING:
    from bouba.batch import Batch


_trusted: ContextVar[bool] = ContextVar("values are trusted", default=False)


@contextmanager
def trusted() -> Iterator[None]:
    """Inside, numbers on a GPU are not checked, as each check would wait for it; the loop looks at what is lost."""
    token = _trusted.set(True)
    try:
        yield
    finally:
        _trusted.reset(token)


def is_checked(x: Tensor) -> bool:
    """Whether the numbers of x are looked at: all but those of a GPU in training."""
    return not waits(x.device) or not _trusted.get()


def check_similarity(similarity: str) -> None:
    """UsageError unless `similarity` is one of SIMILARITIES."""
    if similarity not in SIMILARITIES:
        raise UsageError(f"no similarity {similarity!r}{nearest(similarity, SIMILARITIES)}")


def check_embeddings(function: str, **embeddings: Tensor) -> None:
    """UsageError unless all are of one shape (B, D), B >= 1; DataError for NaN or infinity in one of them."""
    shapes = [tuple(z.shape) for z in embeddings.values()]
    if len(shapes[0]) != 2 or shapes[0][0] == 0 or len(set(shapes)) > 1:
        got = " and ".join(f"{name} {shape}" for name, shape in zip(embeddings, shapes))
        raise UsageError(f"{function} needs embeddings of one shape (B, D) with B >= 1, got {got}")
    for name, z in embeddings.items():
        check_finite(name, z)


def check_finite(name: str, z: Tensor) -> None:
    """DataError that names the first row of z (B, ...) with NaN or infinity, if numbers are looked at."""
    if not is_checked(z) or torch.isfinite(
        z.detach().sum()
    ):  # one pass without a mask; a sum may overflow, so look again
        return
    bad = (~torch.isfinite(z)).flatten(1).any(1).nonzero().flatten().tolist()
    if bad:
        raise DataError(f"{name} holds NaN or infinity in {len(bad)} of {len(z)} rows, first in row {bad[0]}")


def check_columns(rows: int, **columns: Tensor | None) -> None:
    """UsageError for a column that is not (rows,)."""
    for name, column in columns.items():
        if column is not None and column.shape != (rows,):
            raise UsageError(f"{name} must hold one number a row, ({rows},), got {tuple(column.shape)}")


def check_tile(tile: int | None) -> None:
    """UsageError for a tile without a side."""
    if tile is not None and tile < 1:
        raise UsageError(f"tile must be at least 1, got {tile}; leave it out to have one picked")


def check_views(subject: str, views: Iterable[str] | None, existing: Iterable[str]) -> None:
    """UsageError for a name where a tuple of names belongs, ModalityError for an unknown view.

    `subject` begins the message: 'InfoNCE pairs name'.
    """
    if isinstance(views, str):
        raise UsageError(f"{subject} {views!r} where a tuple of views is expected; write ({views!r},)")
    for view in views or ():
        if view not in existing:
            raise ModalityError(f"{subject} {view!r}, but no such view{nearest(view, existing)}")


def check_pairs(term: str, pairs: Pairs, space: Space) -> None:
    """UsageError unless there are two views or more, ModalityError for a pair with an unknown one, or an anchor."""
    if len(space.dims) < 2:
        raise UsageError(
            f"{term} needs two views or more, got {len(space.dims)} ({', '.join(map(repr, space.dims))}); "
            "name another column, for example text=..."
        )
    if isinstance(pairs, str):
        check_views(f"{term} has the anchor", (pairs,), space.dims)
        return
    for pair in pairs or ():
        if isinstance(pair, str) or len(pair) != 2:
            raise UsageError(f"{term} pairs holds {pair!r}, which is no pair; write pairs=(('image', 'text'),)")
        check_views(f"{term} pairs name", pair, space.dims)


def check_domains(term: str, space: Space) -> None:
    """UsageError unless there are two domains or more."""
    if len(space.domains) < 2:
        raise UsageError(
            f"{term} needs two domains or more, got {len(space.domains)}; name the domain column (domain=...) and the "
            "target (fit(..., target=...))"
        )


def check_twins(term: str, batch: Batch) -> None:
    """UsageError for a batch without twins."""
    if not batch.twin:
        raise UsageError(f"{term} compares a batch with its twins, and this one has none; fill batch.twin")


def check_predicted(term: str, labels: Iterable[str] | None, space: Space) -> tuple[str, ...]:
    """The label columns that `labels` names, all that are predicted when None. UsageError unless a Prediction of the
    objective predicts classes of each."""
    if isinstance(labels, str):
        raise UsageError(f"{term} labels is a tuple of names, got {labels!r}; write ({labels!r},)")
    if not space.predicted:
        raise UsageError(f"{term} reads class probabilities, and nothing predicts any; add Prediction(...) to it")
    for label in labels or ():
        if label not in space.predicted:
            raise UsageError(
                f"{term} reads class probabilities of {label!r}, and no Prediction predicts them"
                f"{nearest(label, space.predicted)}"
            )
    return space.predicted if labels is None else tuple(labels)


def precise(temperature: float | Tensor, *z: Tensor) -> tuple[Tensor, ...]:
    """The scale 1 / temperature, and the embeddings, all in one precision of at least float32.

    UsageError for a temperature out of range, as far as it can be seen without keeping a GPU waiting.
    """
    dtype = torch.float32
    for tensor in z:
        dtype = torch.promote_types(dtype, tensor.dtype)
    tau = scalar(temperature, dtype, z[0].device)
    if tau.numel() != 1 or (is_checked(tau) and not 0 < tau < torch.inf):
        raise UsageError(f"temperature must be one finite number above 0, got {tau.tolist()}")
    return tau.reshape(()).reciprocal(), *(tensor.to(dtype) for tensor in z)


def scalar(number: float | Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A number as a tensor, filled where it belongs: to copy it to a GPU would wait for it."""
    if isinstance(number, Tensor):
        return number.to(device, dtype)
    return torch.full((), number, dtype=dtype, device=device)
