"""What a report holds: plain data, no models, no tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bouba.adapt import Diagnosis
from bouba.errors import DataError
from bouba.evaluation.widths import AtWidth
from bouba.report.contest import Contest
from bouba.report.study import Study
from bouba.search.certainty import Direction


@dataclass(frozen=True)
class Picture:
    """One encoded picture (PNG, WebP, JPEG or GIF bytes).

    Pictures that follow each other with the same caption are shown as one family, each with its `tag`.
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
    """A query and what came back, best first.

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
    """Queries answered by one method. Galleries with one title are compared query by query.

    Args:
        found: how many of how many questions were answered among the first that are shown, where the queries are drawn
            in that proportion.
    """

    title: str
    method: str
    queries: Sequence[Query]
    found: tuple[int, int] | None = None


@dataclass(frozen=True)
class Contribution:
    """What one view adds to predictions: its mean |Shapley value| over n rows that have it, and the interval."""

    view: str
    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Cell:
    """One view of a row: a text or a picture.

    Args:
        heat: the picture with what each pixel added to the guess drawn over it. words: what each word added.
    """

    view: str
    text: str | None
    picture: bytes | None
    heat: bytes | None = None
    words: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True)
class Case:
    """A row and what was predicted of it.

    Args:
        cells: of the views it has. guess: as shown. truth: as shown, None where it is not known.
        sure: probability given to the guess, None for numbers. name: of the row.
        added: view -> its Shapley value for the guess.
    """

    cells: Sequence[Cell]
    guess: str
    truth: str | None
    sure: float | None
    added: Mapping[str, float]
    name: str = ""


@dataclass(frozen=True)
class Judged:
    """How one label was predicted by one method on held-out rows.

    Args:
        label, method: as in the records.
        classes: C names; empty for numbers. counts: (C, C), rows are the truth and columns the guess.
        reliability: (confidence, accuracy, rows) a bin. error: the calibration error; None for numbers.
        points: (truth, guess) pairs of numbers.
        unit: what contributions are shares of, "the probability of species".
        contributions: views, the largest first. cases: rows worth looking at, under the title `which`.
    """

    label: str
    method: str
    classes: Sequence[str] = ()
    counts: Sequence[Sequence[int]] = ()
    reliability: Sequence[tuple[float, float, int]] = ()
    error: float | None = None
    points: Sequence[tuple[float, float]] = ()
    unit: str = ""
    contributions: Sequence[Contribution] = ()
    cases: Sequence[Case] = ()
    which: str = "Wrong, and most sure of it"

    @property
    def in_points(self) -> bool:
        """Whether contributions are points of probability, not of a number in its unit."""
        return self.unit != self.label


@dataclass(frozen=True)
class Made:
    """A row that was translated: its source, its true target, and what was made of it.

    Args:
        text, picture: the source. name: of the row. truth: a picture.
        drawn: method -> pictures.
        stages: (when, picture) as training went; empty for rows that were not followed.
    """

    text: str | None
    picture: bytes | None
    name: str
    truth: bytes
    drawn: Mapping[str, Sequence[bytes]]
    stages: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True)
class EmbeddingMap:
    """Points on a plane, one per thing, with one or more ways to colour them ("style", "group").

    Args:
        x, y: positions, n finite numbers each.
        labels: for every way to colour, n class names.
        names: n names, shown when a point is touched.
        pictures: n encoded pictures, shown with the name, None where there is none; or None.
    """

    title: str
    x: Sequence[float]
    y: Sequence[float]
    labels: Mapping[str, Sequence[str]]
    names: Sequence[str]
    pictures: Sequence[bytes | None] | None = None

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
class Doubtful:
    """A pair that may be wrong.

    Args:
        row: its number in the table. cells: of the two views. note: by which numbers.
    """

    row: int
    cells: Sequence[Cell]
    note: str


@dataclass(frozen=True)
class Listed:
    """Rows to look at, one or several that belong together.

    Args:
        rows: what they are called. cells: of them. note: why they are listed.
    """

    rows: Sequence[str]
    cells: Sequence[Cell]
    note: str


@dataclass(frozen=True)
class Try:
    """A query that works: the command that puts it, and pictures of its first hits."""

    command: str
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True)
class Report:
    """Everything on the page. An empty part leaves its section out.

    Args:
        title: the heading.
        summary: one or two plain sentences that open the page; None writes one from `records`.
        advice: whether the model is good enough, and what would help most, before all else; "" for nothing.
        caution: what a reader must know before the numbers, right under the summary; "" for nothing.
        facts: (name, value) pairs, shown as a strip under the summary.
        samples: a look at the data.
        tries: queries that work. serve: the command that shows the run in a browser.
        curves: method -> history rows, `{"epoch": 1, "loss": 2.3, "validation": 0.1, ...}`.
        records: flat scores, `{"method", "split", "domain", "direction", "metric", "value", "low", "high",
            "chance", "n"}` and perhaps "seed"; fractions in [0, 1], except ranks.
        judged: what was predicted, a label and method each.
        made: rows that were translated into pictures.
        target: the domain adapted to; its scores come first.
        diagnosis: how far it lies from the source, view by view.
        galleries: queries with what was found.
        maps: embeddings on a plane.
        sets: what scores are worth, by pairs of views.
        widths: what shorter embeddings find, narrow to whole. study: the search that its settings came of.
        doubtful: pairs that may be wrong, worst first. doubtful_by: a sentence on how they were judged.
        labels: rows whose label may be wrong, worst first. labels_by: a sentence on how they were judged.
        duplicates: groups of rows that show the same, the largest first. duplicates_by: a sentence on how many.
        notes: sentences for the end of the page: caveats, licences, versions.
        contest: the model among its rivals, compared row by row.
        methods: name in the records -> title and a sentence that goes on from it, "is a linear method."; names that are
            not listed are shown readable.
    """

    title: str
    summary: str | None = None
    advice: str = ""
    caution: str = ""
    facts: Sequence[tuple[str, str]] = ()
    samples: Sequence[Picture] = ()
    tries: Sequence[Try] = ()
    serve: str = ""
    curves: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    records: Sequence[Mapping[str, Any]] = ()
    judged: Sequence[Judged] = ()
    made: Sequence[Made] = ()
    target: str | None = None
    diagnosis: Diagnosis | None = None
    galleries: Sequence[Gallery] = ()
    maps: Sequence[EmbeddingMap] = ()
    sets: Sequence[Direction] = ()
    widths: Sequence[AtWidth] = ()
    study: Study | None = None
    doubtful: Sequence[Doubtful] = ()
    doubtful_by: str = ""
    labels: Sequence[Listed] = ()
    labels_by: str = ""
    duplicates: Sequence[Listed] = ()
    duplicates_by: str = ""
    notes: Sequence[str] = ()
    methods: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    contest: Contest = field(default_factory=Contest)
