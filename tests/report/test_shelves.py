"""Galleries of several methods, query by query."""

from bouba.report import Gallery, Item, Query
from bouba.report.shelves import hang


def asked(text, hit):
    return Query(text, None, "", None, None, [Item("answer", None, 0.5, hit)])


def outcomes(wall):
    return {shelf.title: [card.question.text for card in shelf.cards] for shelf in wall.shelves}


def test_one_method_has_found_and_missed():
    (wall,) = hang([Gallery("g", "clip", [asked("a", True), asked("b", False), asked("c", True)])])
    assert outcomes(wall) == {"Found": ["a", "c"], "Missed": ["b"]}


def test_two_methods_are_compared_query_by_query():
    one = Gallery("g", "clip", [asked("a", True), asked("b", False), asked("c", False)])
    two = Gallery("g", "clip_dann", [asked("c", False), asked("b", True), asked("a", True)])
    (wall,) = hang([one, two])
    assert wall.methods == ["clip", "clip_dann"]
    assert outcomes(wall) == {
        "Found only by CLIP + DANN": ["b"],
        "Found by every method": ["a"],
        "Missed by every method": ["c"],
    }
    assert all(list(card.answers) == ["clip", "clip_dann"] for shelf in wall.shelves for card in shelf.cards)


def test_two_things_with_one_name_stay_two():
    (wall,) = hang([Gallery("g", m, [asked("a", True), asked("a", False)]) for m in ("clip", "clip_dann")])
    assert outcomes(wall) == {"Found by every method": ["a"], "Missed by every method": ["a"]}


def test_titles_make_walls():
    walls = hang([Gallery("g", "clip", [asked("a", True)]), Gallery("h", "clip", [asked("a", True)])])
    assert [wall.title for wall in walls] == ["g", "h"]
