"""The page of bouba serve: languages, colours, widths, readers of screens, errors, size."""

import re

import pytest
from page.test_search import rows_of
from page.waiting import until

pytestmark = pytest.mark.xdist_group("page")
STATES = {
    "welcome": "/",
    "results": "/?q=a+red+circle&minus=bar&only.kind=circle",
    "row": "/?run=kinds&q=red&row=4",
    "map": "/?tab=map",
    "predict": "/?run=kinds&tab=predict",
    "none": "/?q=red&from.price=5000",
    "compared": "/?q=a+red+circle&against=kinds",
}
READY = {
    "row": "#row .predicted",
    "map": "#map-canvas[data-painted]",
    "predict": "#predict button.main",
    "none": "#results .trouble",
    "compared": ".against .card",
}


def at(open_page, state, **options):
    page = open_page(STATES[state], **options)
    page.wait_for_selector(READY.get(state, "#results .card"), timeout=30000)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_serious(open_page, state, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(at(open_page, state, color_scheme=scheme)).response["violations"]
    serious = [
        f"{one['id']}: {one['help']}: {node['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert not serious, "\n".join(serious)


@pytest.mark.parametrize("state", STATES)
def test_a_phone_scrolls_down_only(open_page, state):
    page = at(open_page, state, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    wide = "() => [document.documentElement.scrollWidth, document.querySelector('#row').scrollWidth, innerWidth]"
    page_width, row_width, width = page.evaluate(wide)
    assert width == 360
    assert page_width <= 360
    assert row_width <= 360


def test_chinese(open_page):
    page = open_page("/", locale="zh-CN")
    page.wait_for_selector("text=搜索")
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    page.fill("#q", "a red circle")
    page.press("#q", "Enter")
    page.wait_for_selector("#results .card")
    assert "个结果" in page.inner_text("#results .toolbar")
    page.select_option("#language", "en")
    until(page, "document.querySelector('#results .toolbar').textContent.includes('results')")
    page.reload()  # it is kept
    page.wait_for_selector("#results .card")
    assert page.evaluate("document.documentElement.lang") == "en"


def brightness(page):
    return sum(map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3])) / 3


def test_light_and_dark(open_page):
    page = open_page("/", color_scheme="dark")
    page.wait_for_selector("#theme svg")
    assert brightness(page) < 60
    page.click("#theme")
    assert brightness(page) > 200
    page.click("#theme")
    assert brightness(page) < 60
    page.emulate_media(color_scheme="light")
    assert brightness(page) < 60  # chosen, whatever the machine is set to
    page.click("#theme")
    assert brightness(page) > 200


def test_the_first_load_is_small(open_page):
    page = open_page("about:blank")
    sizes = {}

    def note(answer):
        if answer.request.resource_type != "image":
            sizes[answer.url] = sum(map(answer.request.sizes().get, ("responseBodySize", "responseHeadersSize")))

    page.on("requestfinished", lambda request: note(request.response()))
    page.goto("/", wait_until="networkidle")
    assert len(sizes) > 10
    assert sum(sizes.values()) < 300_000, sizes


def refuse(page, times, **answer):
    """The server refuses the next searches."""
    left = [times]

    def refused(route):
        left[0] -= 1
        route.fulfill(**answer) if left[0] >= 0 else route.continue_()

    page.route("**/api/v1/search*", refused)


def test_a_busy_server_is_asked_again_when_it_says(open_page):
    page = open_page("/?q=none")
    refuse(page, 1, status=429, json={"error": "too many"}, headers={"Retry-After": "1"})
    page.goto("/?q=a+red+circle")
    page.wait_for_selector("text=Trying again in a second")
    assert rows_of(page)


def test_a_server_that_is_gone(open_page):
    page = open_page("/?q=a+red+circle")
    rows_of(page)
    page.context.set_offline(True)
    page.fill("#q", "a blue bar")
    page.press("#q", "Enter")
    page.wait_for_selector("text=The server does not answer")
    page.context.set_offline(False)
    page.click("#results >> text=Try again")
    assert rows_of(page)


def test_what_the_server_refuses_is_said_in_its_words(open_page):
    page = open_page("/?q=red&where=size+%3E+3")
    page.wait_for_selector("#results .trouble")
    assert "size" in page.inner_text("#results .trouble p")


def test_a_token_that_is_needed_can_be_typed(open_page):
    page = open_page("about:blank")
    tokens = []

    def guarded(route):
        tokens.append(route.request.all_headers().get("cookie", ""))
        if "bouba_token=secret" in tokens[-1]:
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": "this server needs a token"})

    page.route("**/api/v1/**", guarded)
    page.goto("/?q=a+red+circle")
    page.click("text=Enter the token")
    page.fill("#token-field", "secret")
    page.press("#token-field", "Enter")
    assert rows_of(page)


def test_a_run_that_is_not_there(open_page):
    page = open_page("/?run=nowhere&q=red")
    assert rows_of(page)
    assert "nowhere" not in page.url
