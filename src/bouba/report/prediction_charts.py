"""What was predicted -> plotly figures as plain dictionaries; see charts.py for how colours are chosen."""

from bouba.report.charts import GREY, Figure, plain
from bouba.report.content import Judged
from bouba.report.wording import capital, percent, side

BLUE = "#0072B2"
CELL = 30  # pixels of a cell of the confusion matrix


def confusion_figure(judged: Judged) -> Figure:
    """Truth by guess, each row of the matrix shaded by its share; the diagonal is right."""
    names = [plain(name) for name in judged.classes]
    shares = [[count / max(sum(row), 1) for count in row] for row in judged.counts]
    few = len(names) <= 12
    longest = max(len(name) for name in judged.classes)
    margin = min(150, 24 + 7 * longest)
    return {
        "data": [
            {
                "type": "heatmap",
                "x": names,
                "y": names,
                "z": shares,
                "text": [[str(count) if count else "" for count in row] for row in judged.counts],
                "texttemplate": "%{text}" if few else "",
                "hovertemplate": "%{y} called %{x}: %{text} (%{z:.0%})<extra></extra>",
                "colorscale": [[0, "rgba(0,114,178,0)"], [1, "rgba(0,114,178,0.5)"]],
                "zmin": 0,
                "zmax": 1,
                "showscale": False,
                "xgap": 2,
                "ygap": 2,
            }
        ],
        "layout": {
            "height": CELL * max(len(names), 4) + margin + 52,
            "margin": {"l": margin + 20, "r": 8, "t": 8, "b": margin + 20},
            "xaxis": {
                "title": {"text": "called", "standoff": 6},
                "type": "category",
                "showgrid": False,
                "tickangle": -40 if len(names) <= 4 else -90,
            },
            "yaxis": {
                "title": {"text": "is", "standoff": 6},
                "type": "category",
                "autorange": "reversed",
                "showgrid": False,
            },
        },
    }


def reliability_figure(judged: Judged) -> Figure:
    """Accuracy by confidence; dots on the diagonal mean what they say. Larger dots hold more rows."""
    most = max(n for _, _, n in judged.reliability)
    axis = {"range": [-0.03, 1.05], "tickformat": ".0%", "zeroline": False}
    diagonal = {
        "type": "scatter",
        "mode": "lines",
        "x": [0, 1],
        "y": [0, 1],
        "line": {"color": GREY, "dash": "dot", "width": 1.5},
        "hoverinfo": "skip",
    }
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": [confidence for confidence, _, _ in judged.reliability],
        "y": [accuracy for _, accuracy, _ in judged.reliability],
        "text": [f"{n} rows" for _, _, n in judged.reliability],
        "cliponaxis": False,
        "hovertemplate": "sure %{x:.0%}, right %{y:.0%}, %{text}<extra></extra>",
        "marker": {"color": BLUE, "size": [7 + 17 * (n / most) ** 0.5 for _, _, n in judged.reliability]},
    }
    return {
        "data": [diagonal, dots],
        "layout": {
            "height": 300,
            "margin": {"l": 58, "r": 12, "t": 8, "b": 48},
            "showlegend": False,
            "xaxis": {**axis, "title": {"text": "how sure the model is", "standoff": 8}},
            "yaxis": {**axis, "title": {"text": "how often it is right", "standoff": 8}},
        },
    }


def numbers_figure(judged: Judged) -> Figure:
    """Guess by truth; on the line the guess is right."""
    truth, guess = zip(*judged.points)
    ends = [min(*truth, *guess), max(*truth, *guess)]
    line = {"color": GREY, "dash": "dot", "width": 1.5}
    return {
        "data": [
            {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "line": line, "hoverinfo": "skip"},
            {
                "type": "scatter",
                "mode": "markers",
                "x": list(truth),
                "y": list(guess),
                "hovertemplate": "is %{x:.4g}, guessed %{y:.4g}<extra></extra>",
                "marker": {"color": BLUE, "size": 6, "opacity": 0.55},
            },
        ],
        "layout": {
            "height": 340,
            "margin": {"l": 58, "r": 12, "t": 8, "b": 48},
            "showlegend": False,
            "xaxis": {"title": {"text": f"{plain(judged.label)}, as it is", "standoff": 8}, "zeroline": False},
            "yaxis": {"title": {"text": "as it was guessed", "standoff": 8}, "zeroline": False},
        },
    }


def contribution_figure(judged: Judged) -> Figure:
    """How much each view moves the prediction, with intervals, the largest on top."""
    shares = judged.contributions
    points = judged.in_points
    worded = lambda value: percent(value) if points else f"{value:.3g}"  # noqa: E731
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": [share.value for share in shares],
                "y": [plain(capital(side(share.view))) for share in shares],
                "text": [worded(share.value) for share in shares],
                "textposition": "none",
                "customdata": [share.n for share in shares],
                "hovertemplate": "%{y}: %{text} on average over %{customdata} rows<extra></extra>",
                "marker": {"color": BLUE},
                "width": 0.55,
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [0 if share.high is None else share.high - share.value for share in shares],
                    "arrayminus": [0 if share.low is None else share.value - share.low for share in shares],
                    "color": GREY,
                    "thickness": 2,
                    "width": 0,
                },
            }
        ],
        "layout": {
            "height": 46 * len(shares) + 64,
            "margin": {"l": 24 + 8 * max(len(side(share.view)) for share in shares), "r": 12, "t": 8, "b": 48},
            "xaxis": {
                "tickformat": ".0%" if points else "",
                "rangemode": "tozero",
                "title": {"text": "points of probability" if points else plain(judged.label), "standoff": 8},
            },
            "yaxis": {"autorange": "reversed", "type": "category"},
        },
    }
