"""Galleries -> shelves: every query once, the methods' answers under each other, hits and misses apart."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bouba.report.content import Gallery, Query
from bouba.report.wording import method_name


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


def hang(galleries: Sequence[Gallery]) -> list[Wall]:
    """Galleries with one title share a wall."""
    titles = dict.fromkeys(gallery.title for gallery in galleries)
    return [_wall(title, [gallery for gallery in galleries if gallery.title == title]) for title in titles]


def _wall(title: str, galleries: Sequence[Gallery]) -> Wall:
    cards: dict[tuple[object, ...], Card] = {}
    for gallery in galleries:
        seen: dict[tuple[object, ...], int] = {}
        for query in gallery.queries:
            asked = (query.text, query.picture)
            seen[asked] = seen.get(asked, 0) + 1  # two things can share a name
            cards.setdefault((*asked, seen[asked]), Card()).answers[gallery.method] = query
    methods = list(dict.fromkeys(gallery.method for gallery in galleries))
    shelves: dict[str, Shelf] = {}
    for card in cards.values():
        heading, outcome = _outcome(card, len(methods))
        shelves.setdefault(heading, Shelf(heading, outcome, [])).cards.append(card)
    order = ("mixed", "hit", "miss")
    return Wall(title, methods, sorted(shelves.values(), key=lambda shelf: order.index(shelf.outcome)))


def _outcome(card: Card, methods: int) -> tuple[str, str]:
    hits = card.hits
    if methods == 1:
        return ("Found", "hit") if hits else ("Missed", "miss")
    if not hits:
        return "Missed by every method", "miss"
    if len(hits) == len(card.answers):
        return "Found by every method", "hit"
    return f"Found only by {', '.join(map(method_name, hits))}", "mixed"
