"""A report -> one HTML file that needs nothing else: no network, no folder of pictures."""

import json
import os
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

from bouba.adapt import Diagnosis
from bouba.data.characters import printable
from bouba.errors import require
from bouba.report import charts, prediction_charts, wording
from bouba.report.content import Case, Picture, Report
from bouba.report.headline import headline, lead, ordered
from bouba.report.pictures import Album
from bouba.report.scores import Row, read_rows
from bouba.report.shelves import walls
from bouba.search.certainty import TOO_WEAK

MAIN = ("recall@1", "recall@10")  # rows of the table that need no click; so are accuracies
MOST_DIRECTIONS = 5  # of a chart or a table, the others unfold


def write(report: Report, path: str | os.PathLike[str]) -> Path:
    """Write the page to a file next to its place and move it there, so that nobody sees half a page.

    The same report gives the same bytes.

    Raises:
        MissingExtraError: jinja2 or plotly is not installed.
        DataError: a record without a value, or bytes that are no picture.
    """
    target = Path(path)
    page = render(report)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(page)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(part, 0o666 & ~mask)  # mkstemp makes files that only the owner may read
        os.replace(part, target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return target


def render(report: Report) -> str:
    """The page as text."""
    jinja2 = require("jinja2", "report")
    require("plotly", "report")
    album = Album()
    rows = ordered(read_rows(report.records), report.target)
    colour = charts.colours(_methods(report, rows))
    tiles = headline(rows, report.target, report.methods, report.contest)
    figures: dict[str, list[charts.Figure]] = {}
    if report.study is not None:
        figures["study"] = [charts.study_figure(report.study)]
    if report.widths:
        figures["widths"] = [charts.width_figure(report.widths)]
    context = {
        "report": report,
        "album": album,
        "methods": [{"key": method, "note": wording.method_note(method, report.methods)} for method in colour],
        "colour": colour,
        "number_of": {method: i for i, method in enumerate(colour)},
        "tiles": tiles,
        "lead": report.summary if report.summary is not None else lead(tiles, report.methods, report.contest),
        "families": _families(report.samples),
        "tables": _tables(rows, report.target),
        "spaces": [] if report.diagnosis is None else _spaces(report.diagnosis),
        "measures": _measures(rows),
        "runs": max((score.runs for row in rows for score in row.scores.values()), default=1),
        "metrics": _score_charts(rows, colour, report.methods, figures),
        "most_directions": MOST_DIRECTIONS,
        "rest": "scores-rest" in figures,
        "parts": _curve_charts(report, colour, figures),
        "predicted": _predicted(report, figures),
        "several_methods": len({one.method for one in report.judged}) > 1,
        "followed": [one for one in report.made if one.stages],
        "walls": walls(report.galleries, report.methods),
        "colourings": _map_charts(report, figures),
        "too_weak": TOO_WEAK,
    }
    body = (
        environment(jinja2, report.methods)
        .get_template("report.html.j2")
        .render(
            context,
            data=_json({"charts": figures, "points": _points(report, album)}),
            plotly_js=require("plotly.offline", "report").get_plotlyjs() if figures else "",
        )
    )
    return body + "\n"


def environment(jinja2: ModuleType, methods: wording.Methods) -> Any:
    """Templates, in which every value is escaped."""
    templates = resources.files("bouba.report") / "templates"

    def source(name: str) -> str:
        return (templates / name).read_text("utf-8")

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,  # not what is markup already
    )
    environment.filters |= {
        "method": lambda name: wording.method_title(name, methods),
        "direction": lambda text: wording.capital(wording.direction_words(text)),
        "part": wording.part_name,
        "score": "{:.2f}".format,
        "capital": wording.capital,
        "percent": wording.percent,
        "signed": wording.signed,
    }
    environment.globals |= {"source": source, "split_words": wording.split_words, "space_words": wording.SPACES}
    environment.globals |= {"measure_words": wording.measure_words, "shaded": _shaded, "shows_parts": _shows_parts}
    return environment


def _methods(report: Report, rows: Sequence[Row]) -> list[str]:
    """Every method on the page, in order of first appearance."""
    names = [method for row in rows for method in row.scores]
    names += list(report.curves)
    names += [gallery.method for gallery in report.galleries]
    names += [method for one in report.made for method in one.drawn]
    return list(dict.fromkeys(names))


def _families(samples: Sequence[Picture]) -> list[dict[str, Any]]:
    """Neighbours with one caption, together."""
    families: list[dict[str, Any]] = []
    for picture in samples:
        if not families or families[-1]["caption"] != picture.caption:
            families.append({"caption": picture.caption, "pictures": []})
        families[-1]["pictures"].append(picture)
    return families


def _tables(rows: Sequence[Row], target: str | None) -> list[dict[str, Any]]:
    """One table a split and domain; inside, one block a direction."""
    tables: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in rows:
        tables.setdefault((row.split, row.domain), {}).setdefault(row.direction, []).append(row)
    return [
        {
            "split": split,
            "domain": wording.domain_words(domain, target),
            "blocks": dict(list(blocks.items())[:MOST_DIRECTIONS]),
            "folded": dict(list(blocks.items())[MOST_DIRECTIONS:]),
            "methods": list(dict.fromkeys(m for block in blocks.values() for row in block for m in row.scores)),
            "minor": [row for block in blocks.values() for row in _minor(block)],
        }
        for (split, domain), blocks in tables.items()
    ]


def _spaces(diagnosis: Diagnosis) -> list[str]:
    """ "raw", "before" and "after", those that were compared."""
    return [space for space in wording.SPACES if any(shift.space == space for shift in diagnosis.shifts)]


def _minor(block: Sequence[Row]) -> list[Row]:
    """Rows shown on demand: all but the best known measures, where a block has more than three."""
    main = [row for row in block if row.metric.lower() in MAIN or "accuracy" in row.metric.lower()]
    return [row for row in block if row not in main] if main and len(block) > 3 else []


def _measures(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """(name in records, short name, explanation) of every metric that has an explanation."""
    metrics = dict.fromkeys(row.metric for row in rows)
    return [(metric, *words) for metric in metrics if (words := wording.measure_words(metric))[1]]


def _score_charts(
    rows: Sequence[Row], colour: dict[str, str], methods: wording.Methods, figures: dict[str, list[charts.Figure]]
) -> list[str]:
    """One figure a metric, best known first, and one of the directions that unfold; returns the names to choose
    from."""
    metrics = list(dict.fromkeys(row.metric for row in rows))
    metrics.sort(key=lambda metric: (metric != "recall@10", "accuracy" not in metric))
    if metrics:
        parted = [_folded([row for row in rows if row.metric == metric]) for metric in metrics]
        figures["scores"] = [charts.score_figure(shown, colour, methods) for shown, _ in parted]
        if any(folded for _, folded in parted):
            figures["scores-rest"] = [charts.score_figure(folded, colour, methods) for _, folded in parted]
    return [wording.measure_words(metric)[0] for metric in metrics]


def _folded(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of one metric in MOST_DIRECTIONS directions, those of a domain apart, and the others."""
    first = list(dict.fromkeys((row.domain, row.direction) for row in rows))[:MOST_DIRECTIONS]
    shown = [row for row in rows if (row.domain, row.direction) in first]
    return shown, [row for row in rows if row not in shown]


def _curve_charts(
    report: Report, colour: dict[str, str], figures: dict[str, list[charts.Figure]]
) -> list[tuple[str, str]]:
    """One small figure a column of the history; returns (figure, column)."""
    names = [(f"curve-{i}", part) for i, part in enumerate(charts.parts(report.curves))]
    figures |= {name: [charts.curve_figure(part, report.curves, colour, report.methods)] for name, part in names}
    return names


def _predicted(report: Report, figures: dict[str, list[charts.Figure]]) -> list[dict[str, Any]]:
    """What was predicted, a label and method each, and the key of its figures."""
    parts = [{"key": f"label-{i}", "judged": one} for i, one in enumerate(report.judged)]
    for i, one in enumerate(report.judged):
        drawn = {"numbers": prediction_charts.numbers_figure} if one.points else {}
        if one.counts:
            drawn |= {
                "confusion": prediction_charts.confusion_figure,
                "reliability": prediction_charts.reliability_figure,
            }
        if one.contributions:
            drawn |= {"views": prediction_charts.contribution_figure}
        figures |= {f"label-{i}-{name}": [draw(one)] for name, draw in drawn.items()}
    return parts


def _shaded(words: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Words with their weight as a share of the largest."""
    most = max((abs(weight) for _, weight in words), default=0.0) or 1.0
    return [(word, weight / most) for word, weight in words]


def _shows_parts(cases: Sequence[Case]) -> bool:
    """Whether pixels or words of some row are explained."""
    return any(cell.words or cell.heat is not None for case in cases for cell in case.cells)


def _map_charts(report: Report, figures: dict[str, list[charts.Figure]]) -> list[str]:
    """One figure a map and colouring; returns the colourings. All maps are coloured together."""
    labels = list(dict.fromkeys(label for points in report.maps for label in points.labels))
    colourings: list[str | None] = [*labels] or [None]
    for i, points in enumerate(report.maps):
        first = next(iter(points.labels), None)
        figures[f"map-{i}"] = [
            charts.map_figure(points, label if label in points.labels else first) for label in colourings
        ]
    return labels


def _points(report: Report, album: Album) -> dict[str, dict[str, Any]]:
    """What the page says of a point when it is touched."""
    return {
        f"map-{i}": {
            "names": list(points.names),
            "labels": {label: list(classes) for label, classes in points.labels.items()},
            "pictures": album.add_all(points.pictures) if points.pictures is not None else [],
        }
        for i, points in enumerate(report.maps)
    }


def _json(value: Any) -> str:
    """JSON that may stand inside a <script> element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _plain(value: Any) -> Any:
    """A numpy scalar as a Python one."""
    return value.item()
