"""Scores, training history and maps -> plotly figures as plain dictionaries.

Text and grid colours are left to the page, which knows whether it is light or dark. Every fixed colour here
has a contrast of 3:1 or more on both (Okabe and Ito's palette, its lightest colours darkened).
"""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bouba.evaluation.widths import AtWidth
from bouba.report.content import EmbeddingMap
from bouba.report.scores import Row
from bouba.report.study import Study
from bouba.report.wording import (
    NO_METHODS,
    Methods,
    capital,
    direction_words,
    domain_words,
    measure_words,
    method_title,
    split_words,
)

Figure = dict[str, Any]

METHOD_COLOURS = ("#0072B2", "#C27A00", "#8E5FB8", "#008C95", "#B5547F", "#6E7781", "#8C6239", "#5C8A00")
CLASS_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#B58900",
    "#7B5FC9",
    "#2F9BD6",
    "#8C6239",
    "#7D8A00",
    "#C8324A",
    "#008C95",
    "#7F7F7F",
)
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross")
GREY = "#808080"
ROW = 62  # pixels of height for a row of dots


def colours(methods: Sequence[str]) -> dict[str, str]:
    """Method -> its colour, the same on the whole page."""
    return {method: METHOD_COLOURS[i % len(METHOD_COLOURS)] for i, method in enumerate(methods)}


def plain(text: str) -> str:
    """Text that plotly shows as it is, although plotly reads a little HTML."""
    return html.escape(text, quote=False)


def score_figure(rows: Sequence[Row], colour: Mapping[str, str], methods: Methods = NO_METHODS) -> Figure:
    """Dots with whiskers for one metric, one line per task; a grey bar marks chance. Empty without rows."""
    if not rows:
        return {"data": [], "layout": {"height": 40, "xaxis": {"visible": False}, "yaxis": {"visible": False}}}
    ordered = sorted(rows, key=lambda row: [r.split for r in rows].index(row.split))
    notes, places, place = [], [], 0.0
    for before, row in zip([None, *ordered], ordered):
        if before is None or before.split != row.split:
            place += 0.35 if before is None else 0.75
            notes.append(_note(f"<b>{plain(capital(split_words(row.split)[0]))}</b>", place - 0.82))
        notes.append(_note(plain(_task(row)), place - 0.45))
        places.append(place)
        place += 1
    fraction = all(row.fraction for row in ordered)
    titles = {method: plain(method_title(method, methods)) for method in colour}
    traces = [_dots(ordered, places, method, titles[method], colour[method], i) for i, method in enumerate(colour)]
    traces = [trace for trace in traces if trace["x"]] + _chance(ordered, places)
    return {
        "data": traces,
        "layout": {
            "height": int(ROW * (place + 0.25)) + 58,
            "margin": {"l": 8, "r": 20, "t": 4, "b": 54},
            "showlegend": False,
            "xaxis": {
                "tickformat": ".0%" if fraction else "",
                "rangemode": "tozero",
                "title": {"text": plain(measure_words(ordered[0].metric)[0]), "standoff": 8},
            },
            "yaxis": {"range": [place - 0.55, -0.8], "visible": False, "fixedrange": True},
            "annotations": notes,
        },
    }


def _task(row: Row) -> str:
    return " · ".join(filter(None, (capital(direction_words(row.direction)), domain_words(row.domain))))


def _note(text: str, y: float) -> Figure:
    return {
        "text": text,
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": y,
        "yref": "y",
        "yanchor": "middle",
        "showarrow": False,
        "align": "left",
    }


def _dots(rows: Sequence[Row], places: Sequence[float], method: str, title: str, colour: str, index: int) -> Figure:
    done = [(row, place) for row, place in zip(rows, places) if method in row.scores]
    scores = [row.scores[method] for row, _ in done]
    shift = [list(row.scores).index(method) - (len(row.scores) - 1) / 2 for row, _ in done]
    step = [min(0.16, 0.45 / len(row.scores)) for row, _ in done]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": title,
        "x": [score.value for score in scores],
        "y": [place + s * t for (_, place), s, t in zip(done, shift, step)],
        "text": [f"{row.show(score.value)} ({row.interval(score)})" for (row, _), score in zip(done, scores)],
        "hovertemplate": "%{text}",
        "marker": {"color": colour, "size": 10, "symbol": SYMBOLS[index % len(SYMBOLS)]},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [0 if s.high is None else s.high - s.value for s in scores],
            "arrayminus": [0 if s.low is None else s.value - s.low for s in scores],
            "color": colour,
            "thickness": 2,
            "width": 0,
        },
    }


def _chance(rows: Sequence[Row], places: Sequence[float]) -> list[Figure]:
    levels = [(row.chance, place) for row, place in zip(rows, places) if row.chance is not None]
    if not levels:
        return []
    marker = {"symbol": "line-ns-open", "size": 18, "color": GREY, "line": {"width": 2}}
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "chance",
            "x": [chance for chance, _ in levels],
            "y": [place for _, place in levels],
            "marker": marker,
            "hovertemplate": "chance %{x}",
        }
    ]


def curve_figure(
    part: str,
    curves: Mapping[str, Sequence[Mapping[str, Any]]],
    colour: Mapping[str, str],
    methods: Methods = NO_METHODS,
) -> Figure:
    """One column of the history by epoch, a line per method."""
    traces = []
    for index, method in enumerate(colour):
        rows = curves.get(method, ())
        values = [finite(row.get(part)) for row in rows]
        if any(value is not None for value in values):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers" if len(values) <= 40 else "lines",
                    "name": plain(method_title(method, methods)),
                    "x": [finite(row.get("epoch", place + 1)) for place, row in enumerate(rows)],
                    "y": values,
                    "line": {"color": colour[method], "width": 2.2},
                    "marker": {"size": 5, "symbol": SYMBOLS[index % len(SYMBOLS)]},
                    "hovertemplate": "%{y:.4g}",
                }
            )
    layout = {
        "height": 230,
        "margin": {"l": 46, "r": 12, "t": 8, "b": 40},
        "showlegend": False,
        "hovermode": "x unified",
        "xaxis": {"title": {"text": "epoch", "standoff": 4}, "nticks": 6},
        "yaxis": {"nticks": 5},
    }
    return {"data": traces, "layout": layout}


def width_figure(found: Sequence[AtWidth]) -> Figure:
    """recall@10 on the width of embeddings, a line a direction, with intervals; each doubling is as wide."""
    traces = []
    for index, name in enumerate(dict.fromkeys(one.direction for one in found)):
        own = [one for one in found if one.direction == name]
        above = [0.0 if one.high is None else one.high - one.value for one in own]
        below = [0.0 if one.low is None else one.value - one.low for one in own]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": plain(capital(direction_words(name))),
                "x": [one.width for one in own],
                "y": [one.value for one in own],
                "error_y": {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1},
                "line": {"color": METHOD_COLOURS[index % len(METHOD_COLOURS)], "width": 2.2},
                "marker": {"size": 7, "symbol": SYMBOLS[index % len(SYMBOLS)]},
                "hovertemplate": "%{y:.1%}",
            }
        )
    widths = sorted({one.width for one in found})
    layout = {
        "height": 300,
        "margin": {"l": 52, "r": 12, "t": 8, "b": 44},
        "legend": {"orientation": "h", "y": 1.12},
        "hovermode": "x unified",
        "xaxis": {"title": {"text": "numbers of an embedding"}, "type": "log", "tickvals": widths},
        "yaxis": {"tickformat": ".0%", "rangemode": "tozero", "nticks": 6},
    }
    return {"data": traces, "layout": layout}


def study_figure(study: Study) -> Figure:
    """Scores of trials on the seconds of the search, a mark a trial, and the best so far."""
    done = [trial for trial in study.trials if trial.score is not None]
    curve = study.best_so_far
    names = list(dict.fromkeys(trial.method for trial in done))
    traces: list[dict[str, Any]] = []
    for index, name in enumerate(names):
        own = [trial for trial in done if trial.method == name]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": plain(name),
                "x": [trial.ended for trial in own],
                "y": [trial.score for trial in own],
                "text": [f"trial {trial.number + 1}{', as it is' if trial.plain else ''}" for trial in own],
                "marker": {
                    "size": 8,
                    "color": METHOD_COLOURS[index % len(METHOD_COLOURS)],
                    "symbol": SYMBOLS[index % len(SYMBOLS)],
                },
                "hovertemplate": "%{text}: %{y:.4f}",
            }
        )
    last = max((trial.ended for trial in study.trials), default=0.0)
    steps = [*curve, (last, curve[-1][1])] if curve else []
    best = {"x": [seconds for seconds, _ in steps], "y": [score for _, score in steps], "hoverinfo": "skip"}
    line = {"shape": "hv", "color": "#888888", "width": 1.5}
    traces.append({"type": "scatter", "mode": "lines", "name": "best so far", "line": line, **best})
    layout = {
        "height": 300,
        "margin": {"l": 52, "r": 12, "t": 8, "b": 44},
        "legend": {"orientation": "h", "y": 1.12},
        "hovermode": "closest",
        "xaxis": {"title": {"text": f"seconds of {'the processor' if 'CPU' in study.clock else 'the search'}"}},
        "yaxis": {"title": {"text": plain(study.metric)}, "nticks": 6},
    }
    return {"data": traces, "layout": layout}


def parts(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Numeric columns of the histories; loss and validation first."""
    numeric = dict.fromkeys(
        key
        for rows in curves.values()
        for row in rows
        for key, value in row.items()
        if key != "epoch" and finite(value) is not None
    )
    return sorted(numeric, key=lambda part: (part != "loss", part != "validation"))


def finite(value: object) -> float | None:
    """A finite number, else None (a gap in a line)."""
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
        return None
    converted = float(value)  # type: ignore[arg-type]
    return converted if math.isfinite(converted) else None


def map_figure(points: EmbeddingMap, label: str | None) -> Figure:
    """Points coloured by one label; `customdata` is the point's number."""
    classes = list(points.labels[label]) if label is not None else [""] * len(points.x)
    traces = []
    for index, name in enumerate(sorted(set(classes))):
        members = [i for i, member in enumerate(classes) if member == name]
        traces.append(
            {
                "type": "scattergl",
                "mode": "markers",
                "name": plain(name),
                "x": [finite(points.x[i]) for i in members],
                "y": [finite(points.y[i]) for i in members],
                "customdata": members,
                "hoverinfo": "none",
                "marker": {
                    "color": CLASS_COLOURS[index % len(CLASS_COLOURS)],
                    "symbol": SYMBOLS[(index + index // len(CLASS_COLOURS)) % len(SYMBOLS)],
                    "size": 8,
                    "opacity": 0.85,
                },
            }
        )
    axis = {"visible": False}
    layout = {
        "height": 480,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "hovermode": "closest",
        "showlegend": any(classes),
        "legend": {"orientation": "h", "y": -0.02, "yanchor": "top", "itemsizing": "constant"},
        "xaxis": axis,
        "yaxis": {**axis, "scaleanchor": "x"},
    }
    return {"data": traces, "layout": layout}
