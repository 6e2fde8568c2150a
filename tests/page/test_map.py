"""The page of bouba serve: the map."""

import json
import re
from urllib.parse import quote

import numpy as np
import pytest
from page.collection import ROWS

pytestmark = pytest.mark.xdist_group("page")
PAINTED = "#map-canvas[data-painted]"

PLACES = """async () => {
  const words = new Uint32Array(await (await fetch("/api/v1/map/points")).arrayBuffer());
  const box = document.querySelector("#map-frame").getBoundingClientRect();
  const scale = 0.94 * Math.min(box.width - 2, box.height - 2) / 65535;
  const places = [];
  for (let i = 0; i < words.length; i += 2) places.push({
    row: words[i],
    x: box.x + box.width / 2 + ((words[i + 1] & 0xffff) - 32767.5) * scale,
    y: box.y + box.height / 2 - ((words[i + 1] >>> 16) - 32767.5) * scale,
  });
  return places;
}"""


def alone(places):
    """The point that lies farthest from all others."""
    at = np.array([(place["x"], place["y"]) for place in places])
    distances = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1)) + 1e9 * np.eye(len(at))
    return places[int(distances.min(1).argmax())]


def test_a_click_opens_the_row_that_is_there(open_page):
    page = open_page("/?tab=map")
    page.wait_for_selector(PAINTED, timeout=30000)
    places = page.evaluate(PLACES)
    assert sorted(place["row"] for place in places) == list(range(ROWS))
    place = alone(places)
    page.mouse.move(place["x"], place["y"])
    page.wait_for_selector("#map-title:not([hidden])")
    page.mouse.click(place["x"], place["y"])
    page.wait_for_selector("#row[open] .row-body")
    assert f"row={place['row']}" in page.url


def test_an_outline_lists_the_rows_inside(open_page):
    page = open_page("/?tab=map")
    page.wait_for_selector(PAINTED, timeout=30000)
    page.click("#map-lasso")
    box = page.locator("#map-frame").bounding_box()
    right, low = box["width"] - 60, box["height"] - 4
    corners = [(24, 4), (right, 4), (right, low), (24, low)]
    inside = [p for p in page.evaluate(PLACES) if p["x"] < box["x"] + right]
    for number, (x, y) in enumerate(corners):
        page.mouse.move(box["x"] + x, box["y"] + y)
        if not number:
            page.mouse.down()
    page.mouse.up()
    page.wait_for_selector("#map-rows .card")
    assert "lasso=" in page.url
    assert f"{len(inside)} rows inside" in page.inner_text("#map-rows")
    again = page.url
    page.goto("/")
    page.goto(again)  # an outline stands in the address
    page.wait_for_selector("#map-rows .card", timeout=30000)
    assert f"{len(inside)} rows inside" in page.inner_text("#map-rows")


def test_colours_have_a_legend(open_page):
    page = open_page("/?tab=map&colour=kind")
    page.wait_for_selector(PAINTED, timeout=30000)
    page.wait_for_selector("#legend li")
    assert {"circle", "square", "bar"} <= set(page.inner_text("#legend").split())
    before = page.locator("#map-canvas").screenshot()
    page.click("#legend button >> nth=0")
    page.wait_for_selector("#legend [aria-pressed=true]")
    assert page.locator("#map-canvas").screenshot() != before
    page.select_option("#map-colour", "price")
    page.wait_for_selector("#legend .scale")


def test_keys_and_buttons_move_and_zoom(open_page):
    page = open_page("/?tab=map")
    page.wait_for_selector(PAINTED, timeout=30000)
    looks = [page.locator("#map-canvas").screenshot()]
    page.focus("#map-frame")
    for act in (
        lambda: page.keyboard.press("+"),
        lambda: page.keyboard.press("ArrowRight"),
        lambda: page.click("#map-out"),
    ):
        act()
        page.wait_for_timeout(120)
        looks.append(page.locator("#map-canvas").screenshot())
    assert len(set(looks)) == len(looks)
    page.keyboard.press("0")
    page.wait_for_timeout(120)


def answer_a_million(page, n=1_000_000):
    """The map of a run of a million rows, which nobody has fitted."""
    random = np.random.default_rng(0)
    centres = random.random((14, 2)) * 0.8 + 0.1
    codes = random.integers(0, 14, n)
    points = np.zeros(n, [("row", "<u4"), ("x", "<u2"), ("y", "<u2")])
    places = np.clip(centres[codes] + random.normal(size=(n, 2)) * 0.03, 0, 1) * 65535
    points["row"], points["x"], points["y"] = np.arange(n), places[:, 0], places[:, 1]
    legend = quote(json.dumps({"kind": "values", "values": [f"group {i}" for i in range(14)]}))
    described = {"state": "ready", "progress": 1, "count": n, "columns": ["group"]}
    binary = "application/octet-stream"
    page.route(re.compile(r"/api/v1/map(\?|$)"), lambda route: route.fulfill(json=described))
    page.route("**/api/v1/map/points*", lambda route: route.fulfill(body=points.tobytes(), content_type=binary))
    page.route(
        "**/api/v1/map/colours*",
        lambda route: route.fulfill(
            body=codes.astype(np.uint8).tobytes(), content_type=binary, headers={"X-Legend": legend}
        ),
    )


GET_CONTEXT = """const original = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, options) {
  return %s;
};"""
PAINTERS = {  # by what a browser gives: WebGL, computed on the processor here, or none
    "webgl": GET_CONTEXT % "original.call(this, kind, {...options, failIfMajorPerformanceCaveat: false})",
    "2d": GET_CONTEXT % 'kind === "webgl2" ? null : original.call(this, kind, options)',
}


COUNT_FRAMES = """() => {
  window.shownAt = [];
  const note = (at) => { window.shownAt.push(at); requestAnimationFrame(note); };
  requestAnimationFrame(note);
}"""


@pytest.mark.parametrize("painter", PAINTERS)
def test_a_million_points_pan_at_30_frames_a_second(open_page, record_property, painter):
    page = open_page("/?q=none")
    page.add_init_script(PAINTERS[painter])
    answer_a_million(page)
    page.goto("/?tab=map")
    page.wait_for_selector(PAINTED, timeout=30000)
    assert page.get_attribute("#map-canvas", "data-painter") == painter
    page.wait_for_timeout(1500)
    box = page.locator("#map-frame").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    page.evaluate(COUNT_FRAMES)
    for step in range(120):
        page.mouse.move(box["x"] + 300 + step, box["y"] + 300 + step % 60)
    frames = page.evaluate("window.shownAt")
    page.mouse.up()
    rate = 1000 * (len(frames) - 1) / (frames[-1] - frames[0])
    record_property("frames a second", round(rate))
    assert len(frames) > 10
    assert rate >= 30
