"""What the files of the page hold and never hold."""

import re
from importlib.resources import files

import pytest

STATIC = files("bouba.serve") / "static"
SCRIPTS = {file.name: file.read_text() for file in STATIC.iterdir() if file.name.endswith(".js")}
WORDS = SCRIPTS["words.js"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_text_never_becomes_markup_or_code(name):
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc|javascript:"
    )
    assert not re.findall(forbidden, SCRIPTS[name])


def test_nothing_is_loaded_from_elsewhere():
    for file in STATIC.iterdir():
        addresses = set(re.findall(r"https?://[^\s\"')`]+", file.read_text()))
        assert addresses <= {"http://www.w3.org/2000/svg"}, file.name


def test_the_page_has_no_script_or_style_of_its_own():
    page = (STATIC / "index.html").read_text()
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)


def test_files_are_small():
    assert {name: text.count("\n") for name, text in SCRIPTS.items() if text.count("\n") > 390} == {}
    assert sum(len(file.read_bytes()) for file in STATIC.iterdir()) < 200_000


def keys_of(language):
    part = re.search(rf"^  {language}: {{$(.*?)^  }},$", WORDS, re.MULTILINE | re.DOTALL)
    return re.findall(r'^    "([\w.-]+)": ', part[1], re.MULTILINE)


def test_each_language_says_all():
    assert len(keys_of("en")) == len(set(keys_of("en"))) > 100
    assert keys_of("zh") == keys_of("en")


def test_each_language_names_the_same_values():
    values = {}
    for language in ("en", "zh"):
        part = re.search(rf"^  {language}: {{$(.*?)^  }},$", WORDS, re.MULTILINE | re.DOTALL)[1]
        for key, sentence in re.findall(r'^    "([\w.-]+)": "(.*)",$', part, re.MULTILINE):
            values.setdefault(key, []).append(set(re.findall(r"{(\w+)}", sentence)))
    assert {key: sets for key, sets in values.items() if sets[0] != sets[1]} == {}


def test_each_sentence_is_used_and_each_that_is_used_is_there():
    others = (
        "\n".join(text for name, text in SCRIPTS.items() if name != "words.js") + (STATIC / "index.html").read_text()
    )
    used = set(re.findall(r'[\s(\[{?:,]t\("([\w.-]+)"|data-t(?:-\w+)?="([\w.-]+)"', others))
    keys = set(keys_of("en"))
    assert {a or b for a, b in used} <= keys
    families = tuple(re.findall(r"t\([^()]*`([\w.]+\.)\$\{", others))
    plain = {key for key in keys if not key.startswith(families) and not key.endswith(".one")}
    assert [key for key in sorted(plain) if f'"{key}"' not in others and not key.endswith(".do")] == []
