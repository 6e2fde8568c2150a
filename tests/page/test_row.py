"""The page of bouba serve: a row's own page, predictions, keys."""

import re

import pytest
from page.collection import SHAPES, shape_of
from page.test_search import CARDS, picture, rows_of
from page.waiting import until

pytestmark = pytest.mark.xdist_group("page")


def test_a_row_has_its_own_page(open_page):
    page = open_page("/?q=a+red+circle")
    first, second = rows_of(page, 2)
    page.click(f"{CARDS} >> nth=0 >> a.open")
    page.wait_for_selector("#row .row-near .card")
    assert f"row={first}" in page.url
    assert page.locator("#row .row-media img").evaluate("one => one.decode().then(() => one.naturalWidth)") == 48
    assert shape_of(first) in page.inner_text("#row dl")
    page.click("#row-after")
    page.wait_for_url(re.compile(f"row={second}(&|$)"))
    until(page, "!document.querySelector('#row-before').disabled")
    page.press("#row", "ArrowLeft")
    page.wait_for_url(re.compile(f"row={first}(&|$)"))
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('#row').open && !location.search.includes('row=')")
    assert page.evaluate("document.activeElement.dataset.row") == str(first)


def test_a_row_that_is_not_there(open_page):
    page = open_page("/?row=999999")
    page.wait_for_selector("#row .trouble")
    assert "999999" in page.inner_text("#row")


def test_what_the_model_predicts_and_why(open_page):
    page = open_page("/?run=kinds&row=4")
    page.wait_for_selector("#row .predicted")
    said = page.locator("#row .predicted:has(.label:text-is('kind')) strong").inner_text()
    assert said in SHAPES
    page.click("#row .predicted:has(.label:text-is('kind')) summary")
    page.wait_for_selector("#row .shapley li", timeout=30000)
    views = page.eval_on_selector_all("#row .shapley li", "all => all.map((one) => one.firstChild.textContent)")
    assert {"picture", "caption"} <= set(views)


def test_predict_from_some_views(open_page):
    page = open_page("/?run=kinds&tab=predict")
    page.click("#predict button.main")
    page.wait_for_selector("#predict .bad")  # nothing was filled in
    page.set_input_files("#predict-picture", picture(8))
    page.wait_for_selector("#predict .given img")
    page.fill("#predict-caption", "a red bar")
    page.click("#predict button.main")
    page.wait_for_selector("#predict .predicted")
    assert page.locator("#predict .predicted").count() == 2
    assert page.locator("#predict .predicted:has(.label:text-is('kind')) strong").inner_text() in SHAPES


def test_all_of_it_by_keyboard(open_page):
    page = open_page()
    page.wait_for_selector("#results .card")
    page.keyboard.press("/")
    page.keyboard.type("a green bar")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.card .title')?.textContent.includes('green')")
    rows = rows_of(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.row") == str(rows[1])
    page.keyboard.press("ArrowDown")
    below = page.evaluate("document.activeElement.dataset.row")
    assert below not in map(str, rows[:3])
    page.keyboard.press("Enter")
    page.wait_for_selector("#row[open] .row-body")
    assert f"row={below}" in page.url
    page.keyboard.press("Escape")
    page.wait_for_selector("#row[open]", state="hidden")
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#keys[open]", state="hidden")
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") != "q"


def test_a_sound_from_the_microphone_is_a_wav_file(open_page):
    import io

    import soundfile

    page = open_page(permissions=["microphone"])
    content = page.evaluate(
        """async () => {
          const stop = await (await import("/static/sound.js")).record();
          await new Promise((resolve) => setTimeout(resolve, 700));
          return [...new Uint8Array(await (await stop()).arrayBuffer())];
        }"""
    )
    samples, rate = soundfile.read(io.BytesIO(bytes(content)))
    assert 0.3 < len(samples) / rate < 3
    assert samples.ndim == 1
    assert abs(samples).max() > 0.01  # Chromium's pretended microphone beeps
