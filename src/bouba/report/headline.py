"""The few numbers a stranger reads first, and the sentence that says what they mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from bouba.report.scores import Row
from bouba.report.wording import (
    NO_METHODS,
    Methods,
    capital,
    direction_words,
    domain_words,
    measure_words,
    method_title,
    percent,
    recall_at,
    side,
    split_words,
)

MOST = 3  # tiles: what fits one line of the first screen
RETRIEVAL = ("recall@10", "recall@5", "recall@1", "mrr", "map", "mAP")
SCALES = (0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Tile:
    """One row in large numbers."""

    row: Row
    title: str
    task: str
    verdict: str
    scale: float  # the right end of the bars
    domain: str = ""  # in words, where there are several


def headline(rows: Sequence[Row], target: str | None = None, methods: Methods = NO_METHODS) -> list[Tile]:
    """At most three rows: finding by words in every split, then naming, then whatever there is."""
    several = len({row.domain for row in rows}) > 1
    fractions = [row for row in rows if row.fraction]
    metric = next((name for name in RETRIEVAL if any(row.metric == name for row in fractions)), None)
    chosen: dict[tuple[str, ...], Row] = {}
    for row in sorted(fractions, key=lambda row: not row.direction.endswith("->image")):
        if row.metric == metric:
            chosen.setdefault((row.split, row.domain, row.metric), row)
    places = {id(row): place for place, row in enumerate(rows)}
    picked = sorted(chosen.values(), key=lambda row: places[id(row)])[: MOST - 1]
    named: dict[str, Row] = {}
    for row in fractions:
        if "accuracy" in row.metric or row.metric.endswith("_r2"):
            named.setdefault(row.metric, row)
    picked += list(named.values())
    return [_tile(row, several, target, methods) for row in (picked or fractions[:3])[:MOST]]


def lead(tiles: Sequence[Tile], methods: Methods = NO_METHODS) -> str:
    """One sentence from the first tile, a second one on what it is worth; '' without tiles."""
    if not tiles:
        return ""
    row = tiles[0].row
    best, *others = row.ranked
    title = method_title(best.method, methods)
    k = recall_at(row.metric)
    source, _, answer = row.direction.partition("->")
    if k is not None and answer:
        place = "first" if k == 1 else f"among its first {k} results"
        text = (
            f"Given {side(source)}, {title} puts the right {side(answer, many=False)} "
            f"{place} in {percent(best.value, 0)} of cases"
        )
    elif row.metric == "r_precision@10":
        thing = side(answer, many=False)
        text = f"Given {side(source)}, {title} makes a {thing} that has its true one among the 10 "
        text += f"most like it in {percent(best.value, 0)} of cases"
    elif row.metric.endswith("_accuracy") and row.direction == "all":
        label = row.metric.removesuffix("_accuracy").replace("_", " ")
        text = f"From whichever views a row has, {title} names the {label} right "
        text += f"in {percent(best.value, 0)} of cases"
    else:
        text = f"{measure_words(row.metric)[0]}: {title} {percent(best.value, 0)}"
    between = " " if row.metric.endswith("_r2") else " in "
    rest = [f"{method_title(other.method, methods)}{between}{percent(other.value, 0)}" for other in others]
    if row.chance is not None:
        always = "always the mean" if row.metric.endswith("_r2") else "always the commonest class"
        guessing = always if row.direction == "all" else "blind choice"
        rest.append(f"{guessing}{between}{percent(row.chance)}")
    if domain := tiles[0].domain:
        text += f" on {domain}"
    return f"{text}; {', '.join(rest)}." if rest else f"{text}."


def _tile(row: Row, several: bool, target: str | None, methods: Methods) -> Tile:
    domain = domain_words(row.domain, target) if several else ""
    top = max(score.value if score.high is None else score.high for score in row.scores.values())
    return Tile(
        row=row,
        title=measure_words(row.metric)[0],
        task=" · ".join(filter(None, (capital(direction_words(row.direction)), split_words(row.split)[0], domain))),
        domain=domain,
        verdict=_verdict(row, methods),
        scale=next(scale for scale in SCALES if top <= scale or scale == SCALES[-1]),
    )


def _verdict(row: Row, methods: Methods) -> str:
    best, *others = row.ranked
    if best.like_chance:
        return "Cannot be told from blind choice."
    if len(row.scores) > 1:
        if row.winner is not None:
            return f"{method_title(row.winner, methods)} is ahead by more than the uncertainty of the test."
        close = [method_title(other.method, methods) for other in others if row.overlap(best, other)]
        if close:
            names = " and ".join([method_title(best.method, methods), *close])
            return f"The ranges of {names} overlap: too close to call."
        return ""
    return "Clearly better than blind choice." if best.low is not None and row.chance is not None else ""
