"""Galleries of several methods, query by query."""

from bouba.report import Gallery, Item, Query
from bouba.report.shelves import walls


def query(text, hit):
    return Query(text, None, "", None, None, [Item("answer", None, 0.5, hit)])


def outcomes(wall):
    return {shelf.title: [card.question.text for card in shelf.cards] for shelf in wall.shelves}


def test_one_method_has_found_and_missed():
    (wall,) = walls([Gallery("g", "clip", [query("a", True), query("b", False), query("c", True)])])
    assert outcomes(wall) == {"Found": ["a", "c"], "Missed": ["b"]}


def test_two_methods_are_compared_query_by_query(methods):
    one = Gallery("g", "clip", [query("a", True), query("b", False), query("c", False)])
    two = Gallery("g", "adapted-clip", [query("c", False), query("b", True), query("a", True)])
    (wall,) = walls([one, two], methods)
    assert wall.methods == ["clip", "adapted-clip"]
    assert outcomes(wall) == {
        "Found only by CLIP + DANN": ["b"],
        "Found by every method": ["a"],
        "Missed by every method": ["c"],
    }
    assert all(list(card.answers) == ["clip", "adapted-clip"] for shelf in wall.shelves for card in shelf.cards)


def test_two_things_with_one_name_stay_two():
    (wall,) = walls([Gallery("g", m, [query("a", True), query("a", False)]) for m in ("clip", "adapted-clip")])
    assert outcomes(wall) == {"Found by every method": ["a"], "Missed by every method": ["a"]}


def test_titles_make_walls():
    made = walls([Gallery("g", "clip", [query("a", True)]), Gallery("h", "clip", [query("a", True)])])
    assert [wall.title for wall in made] == ["g", "h"]


def test_a_wall_says_in_what_proportion_it_is_drawn(methods):
    (wall,) = walls([Gallery("g", "clip", [query("a", True), query("b", False)], found=(43, 72))], methods)
    assert wall.note == "CLIP found 43 of 72 among its first 1; 1 of the 2 shown, in that proportion."
    (wall,) = walls([Gallery("g", "clip", [query("a", True)])], methods)
    assert wall.note == ""
