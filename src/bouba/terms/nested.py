"""Nested: a term that holds for the first numbers of an embedding as well as for all of them (Matryoshka)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from bouba.batch import Batch
from bouba.errors import UsageError
from bouba.terms.rows import averaged
from bouba.terms.term import Needs, Parts, Space, Term


class Levels(nn.Module):
    """What a term learns at each width, the whole first: a temperature, a classifier, each of its own."""

    def __init__(self, widths: Sequence[int], states: Iterable[nn.Module]):
        super().__init__()
        self.widths, self.states = tuple(widths), nn.ModuleList(states)


def cut(batch: Batch, width: int) -> Batch:
    """The batch with the first `width` numbers of each embedding, fused vector, twin and average."""
    fused = None if batch.fused is None else batch.fused[:, :width]
    first = lambda columns: {name: z[:, :width] for name, z in columns.items()}  # noqa: E731
    return batch.replace(
        z=first(batch.z),
        twin=first(batch.twin),
        averaged=first(batch.averaged),
        masked=first(batch.masked),
        fused=fused,
    )


@dataclass(frozen=True)
class Nested(Term):
    """A term at several widths at once, so that the first numbers of an embedding are an embedding by themselves.

        L = 1/|M| sum over m in M of inner(z[:, :m]),   M = dims and the whole width

    Use it where vectors are many or devices small: one model, and whoever keeps its vectors chooses how much of them.
    `Run.search(..., width=16)` compares the first 16 numbers, `Run.widths()` measures what that costs. Without it the
    first numbers of an embedding are like any others, and a cut loses more. It costs the term once more a width, and
    nothing in the towers.

    Args:
        inner: any term. It learns something of its own at each width: InfoNCE a temperature, Prediction a head.
        dims: widths below the whole, which always counts too, by itself.

    Logs the cost at each width, and what `inner` logs at the whole.

    Reference: Kusupati et al. 2022, Matryoshka Representation Learning, equation 1. Departure: the mean over widths
    instead of their sum, so that what is added to the term weighs as it did; what is learnt is not shared by widths.

    >>> from bouba.terms import InfoNCE
    >>> Nested(InfoNCE(), dims=(16, 64))  # doctest: +ELLIPSIS
    Nested(inner=InfoNCE(temperature=0.07, ...), dims=(16, 64))
    """

    inner: Term
    dims: tuple[int, ...] = (16, 64)

    def needs(self) -> Needs:
        inner = self.inner.needs()
        return replace(inner, widths=tuple(sorted({*inner.widths, *self.dims})))

    def state(self, space: Space) -> Levels:
        widths = [*space.dims.values(), *([] if space.fused is None else [space.fused])]
        whole = min(widths)
        if not self.dims or min(self.dims) < 1 or max(self.dims) > whole or len(set(self.dims)) < len(self.dims):
            raise UsageError(
                f"Nested takes different widths from 1 to {whole}, that of the embeddings, got dims={self.dims}"
            )
        narrow = sorted((width for width in self.dims if width < whole), reverse=True)
        states = [self.inner.state(space)]
        states += [self.inner.state(_narrow(space, width)) for width in narrow]
        return Levels([max(widths), *narrow], states)

    def class_labels(self, labels: Sequence[str]) -> tuple[str, ...]:
        return self.inner.class_labels(labels)

    def loss(self, batch, state):
        costs, parts = [], Parts()
        for level, (width, own) in enumerate(zip(state.widths, state.states, strict=True)):
            value, logged = self.inner.loss(cut(batch, width), own)
            if not level:
                parts |= logged
            if value is not None:
                costs.append(value)
                parts[f"{width}"] = value.detach()
        return averaged(costs), parts

    def predicted_labels(self, space: Space) -> tuple[str, ...]:
        return self.inner.predicted_labels(space)

    def predict(self, batch: Batch, state) -> Mapping[str, Tensor]:
        """By the whole embeddings."""
        return self.inner.predict(batch, state.states[0])


def _narrow(space: Space, width: int) -> Space:
    """A space whose embeddings are cut."""
    fused = None if space.fused is None else width
    return replace(space, dims=dict.fromkeys(space.dims, width), fused=fused)
