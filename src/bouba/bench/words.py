"""bouba bench words: bare names, keywords, words for groups and everyday questions find drawings that have no words.

The demo's protocol: captions are known in three styles, and what is found are OpenMoji drawings, of concepts that
were captioned in other styles (known) or never (new); everyday questions look among all 1,594. efficientnet-lite0 and
multilingual-e5-small under FewPairs, and each question in the ways that `bouba search` puts it.

Everyday questions are also put where every concept is captioned in the other styles ("all, captioned"), as in the
demo's run.

    recall@10   a caption or a bare name finds its own drawing
    success@5   one of the first five has the keyword in its caption, belongs to the group, or is an answer that was
                written down for the everyday question before any search was tried (bouba/bench/everyday.py)
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.align import FewPairs
from bouba.bench import emoji_protocol as emoji
from bouba.bench.everyday import ANSWERS
from bouba.data.split import split
from bouba.data.target import hide
from bouba.data.views import Views
from bouba.evaluation import Record, Result
from bouba.evaluation.environment import environment
from bouba.evaluation.table import text_table, with_interval
from bouba.runs.known import known_things, meanings_of
from bouba.search import Known

LANGUAGES = {"en": ": ", "zh": "："}  # and what stands between name and keywords
WAYS = ("direct", "letters", "meaning", "fused")
KEYWORDS = 200  # drawn a language
TAUS = {"letters_tau": (0.02, 0.05, 0.1), "meaning_tau": (0.3, 0.5, 0.7)}
WEIGHTS = ((1, 1, 1), (1, 0.5, 1), (2, 1, 1), (1, 1, 2), (1, 0, 1), (0, 1, 1))  # of direct, letters, meaning


@dataclass(frozen=True)
class Questions:
    """Words in one language, and what answers them.

    Args:
        name: of the kind of question. metric: how they are judged. words: (q,).
        answers: (q, n) whether a drawing answers; questions without any are left out of `right`.
    """

    name: str
    view: str
    metric: str
    words: Sequence[str]
    answers: np.ndarray

    def right(self, scores: np.ndarray) -> np.ndarray:
        """(q,) whether an answer is among the first k; NaN where there is none. Ties count against it."""
        k = int(self.metric.partition("@")[2])
        best = np.where(self.answers, scores, -np.inf).max(axis=1)
        before = ((scores >= best[:, None]) & ~self.answers).sum(axis=1)
        return np.where(self.answers.any(axis=1), before < k, np.nan)


def command(
    seeds: Annotated[int, typer.Option(help="Cuts of the concepts.")] = 3,
    settle: Annotated[
        bool, typer.Option("--settle", help="Instead: how temperatures and weights fare on questions of training rows.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the records to this JSON file.")] = None,
) -> None:
    """Recall@10 and success@5 of every way, means over seeds with 95% intervals."""
    if settle:
        typer.echo(settling(range(seeds)))
        return
    result = Result([], environment(0))
    missed: list[str] = []
    missed_by_all: list[str] = []
    for seed in range(seeds):
        started = time.process_time()
        protocol = emoji.cut(seed)
        model, known = knowledge(hide(protocol.training, emoji.TARGET)[0], protocol.source, seed)
        result = result + Result(list(_records(protocol, model, known, seed, missed)))
        captioned = protocol.views[protocol.views.domain != emoji.TARGET]
        everything = knowledge(hide(protocol.views, emoji.TARGET)[0], captioned, seed)
        result = result + Result(list(_everyday(protocol, *everything, "all, captioned", seed, missed_by_all)))
        typer.echo(f"seed {seed}: {model.chosen_}; {time.process_time() - started:.0f} CPU-s", err=True)
        if out is not None:
            result.to_json(out)
    typer.echo(page(result))
    typer.echo(f"\neveryday questions without an answer in the first five, times of {seeds}: {_counted(missed)}")
    typer.echo(f"of these where all concepts are captioned in the other styles: {_counted(missed_by_all)}")


def knowledge(training: Views, source: Views, seed: int) -> tuple[FewPairs, Known]:
    """The model of some training rows, and what is known of the captioned ones among them."""
    model = FewPairs(emoji.FROZEN, random_state=seed).fit(training)
    return model, known_things(model, source, model.embed(source), ["image"])


def _records(protocol: emoji.Protocol, model: Any, known: Known, seed: int, missed: list[str]) -> Iterator[Record]:
    for split_name, gallery in (("known", protocol.known), ("new", protocol.new)):
        for questions in of_rows(gallery, seed):
            for way, scores in scored(model, known, gallery, questions).items():
                yield _record(way, split_name, questions, questions.right(scores), seed)
    yield from _everyday(protocol, model, known, "all", seed, missed)


def _everyday(
    protocol: emoji.Protocol, model: Any, known: Known, split_name: str, seed: int, missed: list[str]
) -> Iterator[Record]:
    gallery = protocol.views[protocol.views.domain == emoji.TARGET]
    for questions in everyday(model, gallery):
        for way, scores in scored(model, known, gallery, questions).items():
            right = questions.right(scores)
            yield _record(way, split_name, questions, right, seed)
            if way == "fused":
                missed += [word for word, one in zip(questions.words, right, strict=True) if not one]


def _record(way: str, split_name: str, questions: Questions, right: np.ndarray, seed: int) -> Record:
    values = right[~np.isnan(right)]
    facts = (emoji.TARGET, f"{questions.view} {questions.name}->image", questions.metric)
    return Record(way, split_name, *facts, float(values.mean()), None, None, None, len(values), seed)


def of_rows(gallery: Views, seed: int) -> list[Questions]:
    """What can be asked of drawings by their own names and captions: captions, names, keywords, words for groups."""
    own, found = np.eye(len(gallery), dtype=bool), []
    for view, colon in LANGUAGES.items():
        captions = [str(text) for text in gallery[view]]
        names = [str(name) for name in gallery.meta[f"name_{view}"]]
        found += [Questions(n, view, "recall@10", w, own) for n, w in (("caption", captions), ("name", names))]
        items = [keywords(caption, colon) for caption in captions]
        distinct = sorted(set().union(*items))
        drawn = np.sort(np.random.default_rng(seed).permutation(len(distinct))[:KEYWORDS])
        words = [distinct[place] for place in drawn]
        has = np.array([[word in own_words for own_words in items] for word in words])
        found.append(Questions("keyword", view, "success@5", words, has))
    groups = np.array([str(group) for group in gallery.y["subgroup"]])
    distinct = sorted(set(groups))
    named = [group.replace("-", " ") for group in distinct]
    found.append(Questions("group", "en", "success@5", named, groups[None] == np.array(distinct)[:, None]))
    return found


def everyday(model: Any, gallery: Views) -> list[Questions]:
    """The 60 questions, by the view that the model takes them for."""
    names = [str(name) for name in gallery.meta["name_en"]]
    by_view: dict[str, list[str]] = {}
    for words in ANSWERS:
        by_view.setdefault(model.text_view(words), []).append(words)
    return [
        Questions("everyday", view, "success@5", words, np.array([[n in ANSWERS[w] for n in names] for w in words]))
        for view, words in by_view.items()
    ]


def keywords(caption: str, colon: str) -> set[str]:
    """The words after the name of a caption."""
    return {word.strip() for word in re.split("[|,，、]", caption.partition(colon)[2])} - {""}


def scored(model: Any, known: Known, gallery: Views, questions: Questions, **taus: float) -> dict[str, np.ndarray]:
    """Way -> (q, n) scores, and those of their mean as "fused"; a way that says nothing scores 0."""
    z = known_rows(model, known, gallery)
    cells = Views({questions.view: list(questions.words)}, kinds={questions.view: "text"})
    embedded, meaning = model.embed(cells)[questions.view], meanings_of(model, cells, questions.view)
    found = {way: np.zeros((len(questions.words), len(gallery))) for way in WAYS}
    for place, words in enumerate(questions.words):
        ways = known.ways(questions.view, embedded[place], words, meaning[place], **taus)
        for way in ways:
            found[way.name][place] = way.scores(*z)
            found["fused"][place] += found[way.name][place] / len(ways)
    return found


def known_rows(model: Any, known: Known, gallery: Views) -> tuple[np.ndarray, np.ndarray]:
    """Drawings as rows of an index, and their offsets."""
    rows = known.placed(model.embed(gallery.select("image")))
    return rows, known.offsets(rows)


def settling(seeds: Sequence[int]) -> str:
    """Temperatures and weights on questions made of training rows: every source style in turn has no captions, a
    quarter of the captioned concepts is new. Means over all kinds of questions."""
    scores: dict[tuple, list[float]] = {}
    for seed in seeds:
        source = emoji.cut(seed).source
        for style in source.domains:
            part = split(source, {"known": 0.75, "new": 0.25}, random_state=seed)
            taught = part["known"][part["known"].domain != style]
            model, known = knowledge(taught, taught, seed)
            for gallery in (rows[rows.domain == style] for rows in part.values()):
                for questions in of_rows(gallery, seed):
                    for setting, value in _settings(model, known, gallery, questions):
                        scores.setdefault(setting, []).append(value)
    best = sorted(scores, key=lambda setting: -float(np.mean(scores[setting])))
    lines = [[*map(str, setting), f"{100 * np.mean(scores[setting]):.2f}"] for setting in best]
    return text_table(["letters tau", "meaning tau", "direct, letters, meaning", "percent"], lines, labels=3)


def _settings(model: Any, known: Known, gallery: Views, questions: Questions) -> Iterator[tuple[tuple, float]]:
    for taus in product(*TAUS.values()):
        scores = scored(model, known, gallery, questions, **dict(zip(TAUS, taus, strict=True)))
        for weights in WEIGHTS:
            total = sum(w * scores[way] for w, way in zip(weights, WAYS, strict=False))
            yield (*taus, weights), float(np.nanmean(questions.right(np.asarray(total))))


def page(result: Result) -> str:
    """A line for each kind of question, a column for each way."""
    lines = []
    for part, direction, metric in dict.fromkeys((r.split, r.direction, r.metric) for r in result):
        runs = {w: [100 * r.value for r in result.where(split=part, direction=direction, method=w)] for w in WAYS}
        lines.append([direction.partition("->")[0], part, metric, *(with_interval(runs[way]) for way in WAYS)])
    return text_table(["percent", "drawings", "metric", *WAYS], lines, labels=3)


def _counted(words: Sequence[str]) -> str:
    counts: Mapping[str, int] = {word: list(words).count(word) for word in dict.fromkeys(words)}
    return ", ".join(f"{word} {count}" for word, count in sorted(counts.items(), key=lambda item: -item[1])) or "none"
