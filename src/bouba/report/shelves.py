"""Galleries -> shelves: every query once, the methods' answers under each other, hits and misses apart."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bouba.report.content import Gallery, Query
from bouba.report.wording import NO_METHODS, Methods, method_title


@dataclass
class Card:
    """One question and the answer of every method."""

    answers: dict[str, Query] = field(default_factory=dict)

    @property
    def question(self) -> Query:
        """The query itself, as the first method has it."""
        return next(iter(self.answers.values()))

    @property
    def hits(self) -> tuple[str, ...]:
        """Methods that found a right answer."""
        return tuple(method for method, query in self.answers.items() if query.hit)


@dataclass(frozen=True)
class Shelf:
    """Cards with the same outcome."""

    title: str
    outcome: str  # "hit", "mixed" or "miss"
    cards: list[Card]


@dataclass(frozen=True)
class Wall:
    """All galleries of one title."""

    title: str
    methods: list[str]
    shelves: list[Shelf]
    note: str = ""


def walls(galleries: Sequence[Gallery], methods: Methods = NO_METHODS) -> list[Wall]:
    """Galleries with one title share a wall."""
    titles = dict.fromkeys(gallery.title for gallery in galleries)
    return [_wall(title, [gallery for gallery in galleries if gallery.title == title], methods) for title in titles]


def _wall(title: str, galleries: Sequence[Gallery], methods: Methods) -> Wall:
    cards: dict[tuple[object, ...], Card] = {}
    for gallery in galleries:
        count: dict[tuple[object, ...], int] = {}
        for query in gallery.queries:
            question = (query.text, query.picture)
            count[question] = count.get(question, 0) + 1  # two things can share a name
            cards.setdefault((*question, count[question]), Card()).answers[gallery.method] = query
    names = list(dict.fromkeys(gallery.method for gallery in galleries))
    shelves: dict[str, Shelf] = {}
    for card in cards.values():
        heading, outcome = _outcome(card, len(names), methods)
        shelves.setdefault(heading, Shelf(heading, outcome, [])).cards.append(card)
    order = ("mixed", "hit", "miss")
    ordered = sorted(shelves.values(), key=lambda shelf: order.index(shelf.outcome))
    return Wall(
        title, names, ordered, " ".join(_proportion(gallery, methods) for gallery in galleries if gallery.found)
    )


def _proportion(gallery: Gallery, methods: Methods) -> str:
    """How many of how many were found, and that what is shown is in proportion to it."""
    found, of = gallery.found or (0, 0)
    shown, hits = len(gallery.queries), sum(query.hit for query in gallery.queries)
    k = max((len(query.found) for query in gallery.queries), default=0)
    title = method_title(gallery.method, methods)
    return f"{title} found {found:,} of {of:,} among its first {k}; {hits} of the {shown} shown, in that proportion."


def _outcome(card: Card, compared: int, methods: Methods) -> tuple[str, str]:
    hits = card.hits
    if compared == 1:
        return ("Found", "hit") if hits else ("Missed", "miss")
    if not hits:
        return "Missed by every method", "miss"
    if len(hits) == len(card.answers):
        return "Found by every method", "hit"
    return f"Found only by {', '.join(method_title(hit, methods) for hit in hits)}", "mixed"
