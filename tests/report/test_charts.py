"""Figures are plain data that plotly accepts, in colours both eyes and themes can read."""

import pytest

from bouba.report import charts
from bouba.report.content import EmbeddingMap
from bouba.report.scores import read_rows


def luminance(colour: str) -> float:
    """Relative luminance of '#rrggbb' (WCAG 2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", [*charts.METHOD_COLOURS, *charts.CLASS_COLOURS])
@pytest.mark.parametrize("paper", ["#fdfcfa", "#1b1e23"])
def test_colours_stand_out_on_light_and_dark(colour, paper):
    light, dark = sorted((luminance(colour), luminance(paper)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 2.9


def test_twelve_classes_differ():
    assert len(set(charts.CLASS_COLOURS)) == 12
    assert len(set(charts.METHOD_COLOURS)) == 8


def test_figures_are_valid_for_plotly(full):
    go = pytest.importorskip("plotly.graph_objects")
    colour = charts.colours(["clip", "adapted-clip"])
    rows = read_rows(full.records)
    figures = [charts.score_figure([row for row in rows if row.metric == "recall@10"], colour)]
    figures += [charts.curve_figure(part, full.curves, colour) for part in charts.parts(full.curves)]
    figures += [charts.map_figure(full.maps[0], label) for label in (*full.maps[0].labels, None)]
    for figure in figures:
        go.Figure(figure)  # raises for any unknown property


def test_whiskers_reach_from_low_to_high(full):
    rows = [row for row in read_rows(full.records) if row.metric == "recall@10"]
    clip, dann, chance = charts.score_figure(rows, charts.colours(["clip", "adapted-clip"]))["data"]
    assert clip["x"] == [0.3, 0.2]
    assert clip["error_x"]["array"] == pytest.approx([0.05, 0.05])
    assert clip["error_x"]["arrayminus"] == pytest.approx([0.05, 0.05])
    assert clip["marker"]["color"] != dann["marker"]["color"]
    assert chance["x"] == [0.03, 0.03]
    assert all(c < p < d for c, p, d in zip(clip["y"], chance["y"], dann["y"]))


def test_curves_show_numbers_only_and_leave_gaps(full):
    rows = [
        {"epoch": 1, "step": 3, "name": "x", "done": True, "loss": 1.0},
        {"epoch": 2, "loss": float("nan")},
    ]
    assert charts.parts({"a": rows}) == ["loss", "step"]
    (line,) = charts.curve_figure("loss", {"a": rows}, {"a": "#000000", "b": "#111111"})["data"]
    assert (line["x"], line["y"]) == ([1, 2], [1.0, None])


def test_every_point_is_on_the_map_once():
    points = EmbeddingMap("m", range(30), range(30), {"k": [f"{i % 15:02}" for i in range(30)]}, ["n"] * 30)
    traces = charts.map_figure(points, "k")["data"]
    assert sorted(i for trace in traces for i in trace["customdata"]) == list(range(30))
    looks = {(trace["marker"]["color"], trace["marker"]["symbol"]) for trace in traces}
    assert len(looks) == 15  # more classes than colours still look different
