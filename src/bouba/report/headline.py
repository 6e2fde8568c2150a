"""The few numbers a stranger reads first, and the sentence that says what they mean."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bouba.metrics.gallery import FEWEST
from bouba.report.contest import Contest
from bouba.report.scores import Row, Score, read_rows
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
AT_CHANCE = "Cannot be told from blind choice."
GALLERY = 1000  # things that searches of different tables are compared among
NAMED = 4  # methods of a sentence
LARGER = re.compile(r"(recall@\d+)_of_(\d+)")
NO_CONTEST = Contest()


@dataclass(frozen=True)
class Tile:
    """One row in large numbers."""

    row: Row
    title: str
    task: str
    verdict: str
    scale: float  # the right end of the bars
    domain: str = ""  # in words, where there are several
    larger: Row | None = None  # what the same recall would be in a gallery of another size


def headline(
    rows: Sequence[Row], target: str | None = None, methods: Methods = NO_METHODS, contest: Contest = NO_CONTEST
) -> list[Tile]:
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
    larger = {
        (row.split, row.domain, row.direction, match[1]): row for row in rows if (match := LARGER.fullmatch(row.metric))
    }
    return [
        _tile(row, several, target, methods, contest, larger.get((row.split, row.domain, row.direction, row.metric)))
        for row in (picked or [row for row in fractions if not LARGER.fullmatch(row.metric)][:3])[:MOST]
    ]


def summary(
    records: Sequence[Mapping[str, Any]],
    target: str | None = None,
    methods: Methods = NO_METHODS,
    contest: Contest = NO_CONTEST,
) -> str:
    """What a page on these records opens with; '' for none that can be said in a sentence."""
    return lead(headline(ordered(read_rows(records), target), target, methods, contest), methods, contest)


def ordered(rows: Sequence[Row], target: str | None) -> list[Row]:
    """The same, those of the target first."""
    return sorted(rows, key=lambda row: target is not None and row.domain != target)


def lead(tiles: Sequence[Tile], methods: Methods = NO_METHODS, contest: Contest = NO_CONTEST) -> str:
    """A sentence from the first tile, before it one where a baseline is ahead, after it one on the gallery; '' without
    tiles."""
    if not tiles:
        return ""
    row = tiles[0].row
    best, *others = row.ranked
    shown = [*others[: NAMED - 1], *(score for score in others[NAMED - 1 :] if score.method == contest.model)]
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
    rest = [f"{method_title(other.method, methods)}{between}{percent(other.value, 0)}" for other in shown]
    if row.chance is not None:
        always = "always the mean" if row.metric.endswith("_r2") else "always the commonest class"
        guessing = always if row.direction == "all" else "blind choice"
        rest.append(f"{guessing}{between}{percent(row.chance)}")
    if domain := tiles[0].domain:
        text += f" on {domain}"
    sentence = f"{text}; {', '.join(rest)}." if rest else f"{text}."
    gallery = gallery_words(tiles[0], (best.method, contest.model), methods) if k is not None and answer else ""
    return " ".join(filter(None, (contest.warning(row, methods), sentence, gallery)))


def gallery_words(tile: Tile, names: Sequence[str], methods: Methods) -> str:
    """How many there were to choose from, and what shares would be among a standard number; '' if unknown."""
    n, larger = tile.row.n, tile.larger
    if n is None:
        return ""
    words = f"There were {n:,} to choose from"
    size = GALLERY if larger is None else int(LARGER.fullmatch(larger.metric)[2])  # type: ignore[index]
    known = [name for name in dict.fromkeys(names) if larger is not None and name in larger.scores]
    if larger is None or not known:
        few = n <= FEWEST and n < size
        return f"{words}, too few to say what it would be among {size:,}." if few else f"{words}."
    shares = [f"{percent(larger.scores[name].value, 0)}{_range(larger.scores[name])}" for name in known]
    of = [f" for {method_title(name, methods)}" * (len(known) > 1) for name in known]
    return f"{words}; among {size:,} it would be about {' and '.join(map(''.join, zip(shares, of)))}."


def _range(score: Score) -> str:
    """' (25 to 43%)', or '' where there is none."""
    ends = (score.low, score.high)
    return "" if None in ends else f" ({100 * ends[0]:.0f} to {100 * ends[1]:.0f}%)"  # type: ignore[operator]


def _tile(row: Row, several: bool, target: str | None, methods: Methods, contest: Contest, larger: Row | None) -> Tile:
    domain = domain_words(row.domain, target) if several else ""
    top = max(score.value if score.high is None else score.high for score in row.scores.values())
    return Tile(
        row=row,
        title=_title(row),
        task=" · ".join(filter(None, (capital(direction_words(row.direction)), split_words(row.split)[0], domain))),
        domain=domain,
        verdict=contest.verdict(row, methods) or _verdict(row, methods) if not _at_chance(row) else AT_CHANCE,
        scale=next(scale for scale in SCALES if top <= scale or scale == SCALES[-1]),
        larger=larger,
    )


def _title(row: Row) -> str:
    """'Found in the top 10 of 686', where it is known how many there were to choose from."""
    name = measure_words(row.metric)[0]
    of_many = row.n is not None and (recall_at(row.metric) or 1) > 1 and "->" in row.direction
    return f"{name} of {row.n:,}" if of_many else name


def _at_chance(row: Row) -> bool:
    return row.ranked[0].like_chance


def _verdict(row: Row, methods: Methods) -> str:
    best, *others = row.ranked
    if len(row.scores) > 1:
        if row.winner is not None:
            return f"{method_title(row.winner, methods)} is ahead by more than the uncertainty of the test."
        close = [method_title(other.method, methods) for other in others if row.overlap(best, other)]
        if close:
            names = " and ".join([method_title(best.method, methods), *close])
            return f"The ranges of {names} overlap: too close to call."
        return ""
    return "Clearly better than blind choice." if best.low is not None and row.chance is not None else ""
