"""The page of bouba serve: searching, in a real browser."""

import io
import re

import pytest
from page.collection import COLOURS, MARKUP, MARKUP_ROW, ROWS, SHAPES, caption_of, colour_of, picture_of, shape_of
from page.waiting import until

pytestmark = pytest.mark.xdist_group("page")
CARDS = "#results .card"


def rows_of(page, most=None):
    """Rows of the cards, in their order."""
    page.wait_for_selector("#results[aria-busy=false] .card")
    return [
        int(row) for row in page.eval_on_selector_all(f"{CARDS} a.open", "all => all.map((one) => one.dataset.row)")
    ][:most]


def kinds_of(rows):
    return {(colour_of(row), shape_of(row)) for row in rows}


def search(page, words):
    with page.expect_response(re.compile("/api/v1/search")):
        page.fill("#q", words)
        page.press("#q", "Enter")
    until(page, "document.querySelector('#results').ariaBusy === 'false'")


def picture(number):
    file = io.BytesIO()
    picture_of(number).save(file, "PNG")
    return {"name": f"thing-{number}.png", "mimeType": "image/png", "buffer": file.getvalue()}


def test_words_find_their_rows(open_page):
    page = open_page()
    search(page, "a red circle")
    assert kinds_of(rows_of(page, 4)) == {("red", "circle")}
    assert "q=a+red+circle" in page.url
    assert re.search(r"\d+ results", page.inner_text("#live"))
    assert "red circle" in page.inner_text(f"{CARDS} >> nth=0")
    assert page.locator(f"{CARDS} img").first.evaluate("one => one.decode().then(() => one.naturalWidth)") > 0


def test_it_searches_as_one_types(open_page):
    page = open_page()
    page.type("#q", "a blue square")
    page.wait_for_url(re.compile("q=a\\+blue\\+square"))
    until(page, "document.querySelector('.card .title')?.textContent.includes('blue')")
    assert kinds_of(rows_of(page, 4)) == {("blue", "square")}


def test_examples_work(open_page):
    page = open_page()
    example = page.locator(".example").first
    words = example.inner_text()
    example.click()
    assert rows_of(page)
    assert page.input_value("#q") == words


def test_a_picture_finds_its_like(open_page):
    page = open_page()
    page.set_input_files("#choose-image", picture(1))
    page.wait_for_selector("#parts .chip")
    assert kinds_of(rows_of(page, 4)) == {("green", "circle")}
    assert "thing-1.png" in page.inner_text("#parts")
    assert page.is_visible("#unshared")  # the address cannot hold a file, and the page says so
    assert "thing" not in page.url


def test_a_picture_can_be_pasted_and_dropped(open_page):
    page = open_page()
    page.wait_for_selector("#q")
    for how in ("paste", "drop"):
        page.evaluate(
            """async ([how, bytes]) => {
              const transfer = new DataTransfer();
              transfer.items.add(new File([new Uint8Array(bytes)], `${how}.png`, {type: "image/png"}));
              const given = how === "paste" ? {clipboardData: transfer} : {dataTransfer: transfer};
              const Kind = how === "paste" ? ClipboardEvent : DragEvent;
              document.body.dispatchEvent(new Kind(how, {...given, bubbles: true, cancelable: true}));
            }""",
            [how, list(picture(2)["buffer"])],
        )
        page.wait_for_selector(f"#parts >> text={how}.png")
    assert page.locator("#parts .chip").count() == 2


def test_a_file_of_another_kind_is_refused_with_its_name(open_page):
    page = open_page()
    page.set_input_files("#choose-image", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    page.wait_for_selector("#box-trouble:not(:empty)")
    assert "notes.txt" in page.inner_text("#box-trouble")


def test_what_is_not_wanted(open_page):
    page = open_page("/?plus=circle")
    before = kinds_of(rows_of(page, 12))
    page.fill("#q", "red")
    page.click("#minus")
    page.wait_for_url(re.compile("minus=red"))
    page.wait_for_selector("#parts .chip.minus")
    page.wait_for_selector("#results[aria-busy=false]")
    after = rows_of(page, 12)
    assert ("red", "circle") in before
    assert "red" not in {colour_of(row) for row in after}
    page.click("#parts .chip.minus .sign")  # and turned round
    page.wait_for_url(re.compile("plus=red"))


def test_filters_narrow_and_are_cleared(open_page):
    page = open_page("/?q=red")
    page.click("#facets label:has-text('bar')")
    page.wait_for_url(re.compile("only.kind=bar"))
    until(page, f"document.querySelector('#results .toolbar').textContent.includes('of {ROWS}')")
    assert {shape_of(row) for row in rows_of(page)} == {"bar"}
    page.fill("[id='low-price']", "25")
    page.press("[id='low-price']", "Tab")
    page.wait_for_url(re.compile("from.price=25"))
    until(page, "document.querySelectorAll('#results .card').length < 24")
    assert {row % 12 for row in rows_of(page)} == {10, 11}
    page.click("text=Clear filters")
    until(page, "!location.search.includes('only')")


def test_no_row_passes(open_page):
    page = open_page("/?q=red&from.price=5000")
    page.click("#results >> text=Clear filters")
    assert rows_of(page)


def test_more_like_this(open_page):
    page = open_page("/?q=a+yellow+bar")
    first = rows_of(page)[0]
    page.click(f"{CARDS} >> nth=0 >> button")
    page.wait_for_url(re.compile(f"like={first}"))
    page.wait_for_selector("#parts .chip img")
    assert kinds_of(rows_of(page, 3)) == {("yellow", "bar")}


def test_two_runs_side_by_side(open_page):
    page = open_page("/?q=a+red+circle")
    page.select_option("#choose-against", "kinds")
    page.wait_for_url(re.compile("against=kinds"))
    page.wait_for_selector(".against .column >> nth=1 >> .card")
    assert page.locator(".against .column").count() == 2
    page.select_option("#run", "kinds")
    page.wait_for_url(re.compile("run=kinds"))
    assert rows_of(page)


def test_a_caption_of_markup_stays_text(open_page):
    page = open_page("/?q=a+green+square")
    page.wait_for_selector(CARDS)
    page.goto(f"/?q=img+onerror+script&row={MARKUP_ROW}")
    page.wait_for_selector("#row .caption")
    assert MARKUP in page.locator("#row").evaluate("one => one.textContent")
    page.goto("/?tab=map")
    page.wait_for_selector("#map-canvas[data-painted]")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x], main script").count() == 0


def test_the_back_button_restores_what_was_shown(open_page):
    page = open_page()
    search(page, "a red bar")
    red = rows_of(page)
    search(page, "a blue bar")
    assert rows_of(page) != red
    page.set_input_files("#choose-image", picture(3))
    page.wait_for_selector("#parts .chip")
    page.go_back()
    until(page, "!document.querySelector('#parts .chip')")
    assert page.input_value("#q") == "a blue bar"
    page.go_back()
    until(page, "document.querySelector('#q').value === 'a red bar'")
    until(page, f"document.querySelector('#results a.open').dataset.row === '{red[0]}'")
    assert rows_of(page) == red
    page.go_forward()
    page.go_forward()
    page.wait_for_selector("#parts .chip")  # the file is still in this window


def test_an_address_shows_the_same_to_others(open_page):
    page = open_page("/?q=circle&minus=red&only.kind=circle&only.kind=bar&from.price=5&k=48")
    rows = rows_of(page)
    other = open_page(page.url)
    assert rows_of(other) == rows
    assert other.is_checked("[id='only-kind-\"bar\"']")
    assert {shape_of(row) for row in rows} <= {"circle", "bar"}


def test_captions_and_holes_are_shown_as_they_are(open_page):
    page = open_page(f"/?row={19}")
    page.wait_for_selector("#row .row-body")
    assert caption_of(19) == ""
    assert "It has no caption" in page.inner_text("#row .row-media")


def test_collection_is_what_tests_take_it_for():
    assert len({(colour_of(row), shape_of(row)) for row in range(ROWS)}) == len(COLOURS) * len(SHAPES)
