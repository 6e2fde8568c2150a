"""The page: whole, escaped, alone, the same twice."""

import base64
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from bouba.errors import DataError, MissingExtraError
from bouba.report import (
    Case,
    Cell,
    Contribution,
    EmbeddingMap,
    Gallery,
    Item,
    Judged,
    Picture,
    Query,
    Report,
    render,
    write,
)

SECTIONS = {"scores", "predicted", "found", "map", "data", "training", "notes"}
PART_OF = {
    "records": "scores",
    "judged": "predicted",
    "galleries": "found",
    "maps": "map",
    "samples": "data",
    "curves": "training",
    "notes": "notes",
}
EVIL = "</script><script>alert(1)</script><b onclick='x'>&"


class Outline(HTMLParser):
    """Elements, what they load, and the text outside scripts and styles."""

    VOID = ("meta", "input", "br", "link", "img")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.text = ""
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in self.raw:
            self.raw[tag].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]][-1] += data
        else:
            self.text += data

    @property
    def sections(self):
        return {attrs["id"] for tag, attrs in self.tags if tag == "section"}

    @property
    def data(self):
        return json.loads(next(text for text in self.raw["script"] if text.startswith("{")))


def test_every_part_has_its_section_and_its_place_in_the_contents(full):
    page = Outline(render(full))
    assert page.sections == SECTIONS
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert links == ["#top", *(f"#{attrs['id']}" for tag, attrs in page.tags if tag == "section")]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert page.open == []
    for words in (
        "梨",
        "CLIP + DANN",
        "Known concept, new style",
        "6,376",
        "Only one seed.",
        "95% interval",
    ):
        assert words in page.text


@pytest.mark.parametrize(("part", "section"), PART_OF.items())
def test_an_empty_part_leaves_only_its_section_out(full, part, section):
    page = Outline(render(replace(full, **{part: type(getattr(full, part))()})))
    assert page.sections == SECTIONS - {section}
    assert f"#{section}" not in {attrs.get("href") for _, attrs in page.tags}


def test_methods_are_worded_as_the_report_says(full):
    page = render(replace(full, methods={"clip": ("Pairs & more", "is <b>first</b>.")}))
    assert "Pairs &amp; more</b> is &lt;b&gt;first&lt;/b&gt;." in page
    assert "Pairs & more" not in page.replace("Pairs &amp; more", "").split('<script id="page-data"')[0]
    assert ">adapted CLIP</span>" in page  # not listed: its name, readable
    assert "CLIP + DANN" not in page


def test_more_than_five_directions_are_folded_and_nothing_is_lost(full):
    views = [f"view{i}" for i in range(4)]
    directions = [f"{a}->{b}" for a in views for b in views if a != b]  # twelve
    of_clip = next(record for record in full.records if record["metric"] == "recall@10")
    records = [
        {**of_clip, "direction": direction, "value": 0.1 + i / 50, "low": 0.05, "high": 0.6, "split": split}
        for i, direction in enumerate(directions)
        for split in ("known", "new")
    ]
    page = Outline(render(replace(full, records=records)))
    first, rest = (page.data["charts"][name][0] for name in ("scores", "scores-rest"))
    values = [round(x, 6) for figure in (first, rest) for trace in figure["data"][:1] for x in trace["x"]]
    assert len(first["data"][0]["x"]) == 2 * 5  # of two splits
    assert sorted(values) == sorted(round(record["value"], 6) for record in records)
    assert page.text.count("7 more directions") == 2  # a table a split
    for i in range(12):
        assert page.text.count(f"{10 + 2 * i:.1f}%") >= 2
    few = Outline(render(full))
    assert "scores-rest" not in few.data["charts"]
    assert "more directions" not in few.text


def test_an_empty_report_is_a_small_page_without_plotly(empty):
    text = render(empty)
    assert Outline(text).sections == set()
    assert len(text) < 50_000


def test_whatever_people_write_is_text(full):
    evil_map = EmbeddingMap(EVIL, [0, 1], [0, 1], {EVIL: [EVIL, "b"]}, [EVIL, EVIL], None)
    item = Item(EVIL, full.samples[0].data, 0.1, False, EVIL)
    cells = [Cell(EVIL, EVIL, None), Cell(EVIL, EVIL, None, None, [(EVIL, 0.5)])]
    case = Case(cells, EVIL, EVIL, 0.5, {EVIL: 0.1}, EVIL)
    shares = [Contribution(EVIL, 0.1, 0, 1, 2)]
    label = Judged(EVIL, EVIL, [EVIL, "b"], [[1, 0], [0, 1]], [(0.5, 0.5, 2)], 0.1, (), EVIL, shares, [case], EVIL)
    report = Report(
        title=EVIL,
        summary=EVIL,
        facts=[(EVIL, EVIL)],
        samples=[Picture(full.samples[0].data, EVIL, EVIL)],
        curves={EVIL: [{"epoch": 1, EVIL: 1.0}]},
        records=[{"method": EVIL, "metric": EVIL, "split": EVIL, "domain": EVIL, "direction": EVIL, "value": 0.5}],
        galleries=[Gallery(EVIL, EVIL, [Query(EVIL, None, EVIL, 3, item, [item])])],
        judged=[label],
        maps=[evil_map],
        notes=[EVIL],
    )
    page = Outline(render(report))
    assert page.open == []
    assert page.sections == SECTIONS
    assert not any("onclick" in attrs for _, attrs in page.tags)
    assert sum(tag == "script" for tag, _ in page.tags) == 3  # data, plotly, page
    assert "alert(1)" not in "".join(page.raw["script"][1:])
    assert page.data["points"]["map-0"]["names"] == [EVIL, EVIL]
    assert "&lt;b onclick" in page.data["charts"]["label-0-confusion"][0]["data"][0]["x"][0]
    assert "&lt;b onclick" in page.data["charts"]["map-0"][0]["data"][0]["name"]  # plotly reads some HTML


def test_every_label_has_its_figures_and_every_mistake_its_card(full):
    page = Outline(render(full))
    for words in ("Kind", "Size", "it buzzes", "80% sure", "-12", "Calibration error 6.0%", "the probability of kind"):
        assert words in page.text
    drawn = {attrs["data-chart"] for _, attrs in page.tags if "data-chart" in attrs}
    assert drawn == set(page.data["charts"])
    assert {"label-0-confusion", "label-0-reliability", "label-0-views", "label-1-numbers"} <= drawn


def test_nothing_is_loaded_from_elsewhere(full):
    page = Outline(render(full))
    loads = [attrs[key] for _, attrs in page.tags for key in ("src", "href", "srcset", "data") if key in attrs]
    assert all(target.startswith("#") for target in loads)
    assert not any(tag in ("link", "iframe", "object", "embed", "img") for tag, _ in page.tags)
    styles = "".join(page.raw["style"])
    assert "@import" not in styles
    assert all(url.startswith("data:image/") for url in re.findall(r'url\("?([^")]*)', styles))
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "http" not in policy  # the browser itself refuses the network
    assert sum("plotly.js v" in text[:300] for text in page.raw["script"]) == 1


def test_every_picture_is_stored_once_and_named(full):
    page = Outline(render(full))
    styles = "".join(page.raw["style"])
    stored = re.findall(r"base64,([A-Za-z0-9+/=]+)", styles)
    assert sorted(map(base64.b64decode, stored)) == sorted(picture.data for picture in full.samples)
    used = {c for _, a in page.tags for c in (a.get("class") or "").split() if re.fullmatch(r"p\d+", c)}
    assert used == set(re.findall(r"\.(p\d+)\{", styles))
    assert page.data["points"]["map-0"]["pictures"][0] == page.data["points"]["map-0"]["pictures"][1]


def test_the_same_report_gives_the_same_bytes(full, tmp_path):
    one, two = write(full, tmp_path / "deep" / "a.html"), write(full, str(tmp_path / "b.html"))
    assert one == tmp_path / "deep" / "a.html"
    assert one.read_bytes() == two.read_bytes()
    assert write(full, one).read_bytes() == two.read_bytes()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.html", "b.html", "deep"]


def test_a_page_that_fails_leaves_the_old_one(full, tmp_path):
    path = write(full, tmp_path / "report.html")
    before = path.read_bytes()
    with pytest.raises(DataError, match="not PNG, WebP, JPEG or GIF"):
        write(replace(full, samples=[Picture(b"<svg onload=x>", "bad")]), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("hidden", ["plotly", "jinja2"])
def test_a_missing_extra_names_the_command(full, tmp_path, monkeypatch, hidden):
    monkeypatch.setitem(sys.modules, hidden, None)
    with pytest.raises(MissingExtraError, match=re.escape(f"{hidden} is not installed; it comes with: pip install")):
        write(full, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_a_map_with_columns_of_unequal_length_is_refused():
    with pytest.raises(DataError, match=r"labels\['style'\] has 1 entries but x has 2"):
        EmbeddingMap("m", [0, 1], [0, 1], {"style": ["a"]}, ["n", "m"])
