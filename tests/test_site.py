"""The site builds without a warning, documents every public name, and asks no other machine for anything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent
for extra in ("material", "mkdocstrings", "mkdocstrings_handlers.python", "jieba"):
    pytest.importorskip(extra, reason="the extra `docs`")


def build(home: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """What `make docs` does, into a folder of its own."""
    line = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    return subprocess.run(
        line, cwd=home, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    done = build(HOME, folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def test_a_warning_stops_the_build(tmp_path):
    """Two pages, of which one links to what is not there, with the project's own settings."""
    settings = read(HOME / "mkdocs.yml")
    start = settings.index("\nnav:")
    nav = settings[start : settings.index("\nvalidation:")]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# One\n\n[two](two.md)\n", encoding="utf-8")
    settings = settings.replace(nav, "").replace("hooks:\n  - scripts/site.py\n", "")
    settings = settings[: settings.index("\nplugins:")] + "\nplugins: []\n"
    (tmp_path / "mkdocs.yml").write_text(settings, encoding="utf-8")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert "two.md" in done.stderr


def test_every_page_of_docs_is_on_the_site(site):
    pages = [page.relative_to(HOME / "docs") for page in HOME.glob("docs/**/*.md")]
    assert len(pages) > 15
    start = read(site / "index.html")
    for page in pages:
        assert (site / page.with_suffix(".html")).exists()
        assert f'href="{page.with_suffix(".html")}"' in start, f"{page} is not in nav of mkdocs.yml"


def test_every_public_name_is_on_a_page_of_the_reference(site):
    import bouba

    text = "".join(read(page) for page in site.glob("reference/*.html"))
    found = set(re.findall(r'<h[23] id="bouba\.([\w.]+)"', text))
    names = {path.rpartition(".")[2] for path in found}
    assert set(bouba.__all__) - {"__version__"} <= names
    for room in ("align", "fuse", "transfer", "adapt", "terms", "towers", "metrics", "evaluation", "runs", "search"):
        assert set(getattr(bouba, room).__all__) <= names, room
    start = read(site / "reference" / "index.html")
    links = dict(re.findall(r'<a [^>]*href="(\w+\.html)#bouba\.[\w.]*?(\w+)"', start))
    assert links
    missing = {name for name in bouba.__all__ if not re.search(rf'href="\w+\.html#bouba\.[\w.]*\b{name}"', start)}
    assert missing == {"__version__"}


def test_the_first_mention_of_a_name_leads_to_its_reference(site):
    page = read(site / "idea.html")
    assert page.count('href="reference/align.html#bouba.align.clip.CLIP"') == 1
    assert 'href="../reference/align.html#bouba.align.clip.CLIP"' in read(site / "zh" / "idea.html")


def test_the_commands_are_on_a_page(site):
    from bouba.cli import COMMANDS

    page = read(site / "reference" / "commands.html")
    assert set(COMMANDS) <= set(re.findall(r'<h2 id="([\w-]+)"', page))
    assert "--holdout" in page


def test_nothing_comes_from_another_machine(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=[\"']?([^\"' >]+)", read(page))
        assert loaded
        assert not [target for target in loaded if re.match(r"(https?:)?//", target)], page.name
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"url\([\"']?(?:https?:)?//|@import", read(sheet)), sheet.name


def test_search_works_from_the_disk(site):
    index = read(site / "search" / "search_index.js")
    assert index.startswith("var __index")
    texts = [entry["text"] for entry in json.loads(index.partition("=")[2].rstrip(";\n"))["docs"]]
    assert any("梯度\u200b反转" in text for text in texts), "Chinese sentences are cut into words"
    for page in (site / "index.html", site / "reference" / "terms.html"):
        assert re.search(r'<script src="[./]*assets/iframe-worker\.js"', read(page))
