"""What a report holds: plain data, no models, no tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bouba.errors import DataError


@dataclass(frozen=True)
class Picture:
    """One encoded picture (PNG, WebP, JPEG or GIF bytes).

    Pictures that follow each other with the same caption are shown as one family, told apart by `tag`.
    """

    data: bytes
    caption: str
    tag: str = ""


@dataclass(frozen=True)
class Item:
    """One thing that was found, or should have been: a picture, a text, or both."""

    text: str | None
    picture: bytes | None
    score: float
    correct: bool
    note: str = ""


@dataclass(frozen=True)
class Query:
    """What was asked and what came back, best first.

    `rank` is the place of the first right answer in the full ranking, counted from 1. `truth` is that right
    answer; it is shown when it is not among `found`.
    """

    text: str | None
    picture: bytes | None
    note: str
    rank: int | None
    truth: Item | None
    found: Sequence[Item]

    @property
    def hit(self) -> bool:
        """Whether a right answer is among what was found."""
        return any(item.correct for item in self.found)


@dataclass(frozen=True)
class Gallery:
    """Queries answered by one method. Galleries with one title are compared query by query."""

    title: str
    method: str
    queries: Sequence[Query]


@dataclass(frozen=True)
class EmbeddingMap:
    """Points on a plane, one per thing, with one or more ways to colour them ("style", "group").

    Args:
        x, y: positions, n finite numbers each.
        labels: for every way to colour, n class names.
        names: n names, shown when a point is touched.
        pictures: n encoded pictures, shown with the name, or None.
    """

    title: str
    x: Sequence[float]
    y: Sequence[float]
    labels: Mapping[str, Sequence[str]]
    names: Sequence[str]
    pictures: Sequence[bytes] | None = None

    def __post_init__(self) -> None:
        """Refuse columns of unequal length."""
        columns = {"y": self.y, "names": self.names, **{f"labels[{k!r}]": v for k, v in self.labels.items()}}
        if self.pictures is not None:
            columns["pictures"] = self.pictures
        for name, column in columns.items():
            if len(column) != len(self.x):
                raise DataError(
                    f"map {self.title!r}: {name} has {len(column)} entries but x has {len(self.x)}; "
                    "give one entry per point"
                )


@dataclass(frozen=True)
class Report:
    """Everything on the page. An empty part leaves its section out.

    Args:
        title: the heading.
        summary: one or two plain sentences that open the page; None writes one from `records`.
        facts: (name, value) pairs, shown as a strip under the summary.
        samples: a look at the data.
        curves: method -> history rows, `{"epoch": 1, "loss": 2.3, "validation": 0.1, ...}`.
        records: flat scores, `{"method", "split", "domain", "direction", "metric", "value", "low", "high",
            "chance", "n"}` and perhaps "seed"; fractions in [0, 1], except ranks.
        galleries: queries with what was found.
        maps: embeddings on a plane.
        notes: sentences for the end of the page: caveats, licences, versions.
    """

    title: str
    summary: str | None = None
    facts: Sequence[tuple[str, str]] = ()
    samples: Sequence[Picture] = ()
    curves: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    records: Sequence[Mapping[str, Any]] = ()
    galleries: Sequence[Gallery] = ()
    maps: Sequence[EmbeddingMap] = ()
    notes: Sequence[str] = ()
