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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any

import numpy as np
import typer
from scipy.stats import hypergeom

from bouba.align import FewPairs
from bouba.bench import emoji_protocol as emoji
from bouba.bench.everyday import ANSWERS
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.bench.paired import gain, gain_of_rows, means, means_of_rows, runs_of, seeds_note
from bouba.data import samples
from bouba.data.split import split
from bouba.data.target import hide
from bouba.data.views import Views
from bouba.evaluation import Record, Result
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.table import Table
from bouba.runs.known import known_things, meanings_of
from bouba.search import Known

LANGUAGES = {"en": ": ", "zh": "："}  # and what stands between name and keywords
DIRECT, FUSED = "direct", "fused"
WAYS = (DIRECT, "letters", "meaning", FUSED)
ALL, ALL_CAPTIONED = "all", "all, captioned"
EVERYDAY = "everyday"
MISSED = "missed"  # a record for each everyday question without an answer among the first five
SHORT = {
    "bare names, known concepts": ("name", "known"),
    "captions, known concepts": ("caption", "known"),
    "bare names, new concepts": ("name", "new"),
    "captions, new concepts": ("caption", "new"),
    "everyday questions, half of the concepts captioned": (EVERYDAY, ALL),
    "the same, all captioned in the other styles": (EVERYDAY, ALL_CAPTIONED),
}
"""Lines of the short table: kind of question and drawings."""
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
        best = np.where(self.answers, scores, -np.inf).max(axis=1)
        before = ((scores >= best[:, None]) & ~self.answers).sum(axis=1)
        return np.where(self.answers.any(axis=1), before < self.k, np.nan)

    @property
    def k(self) -> int:
        """How many of the first are looked at."""
        return int(self.metric.partition("@")[2])

    @property
    def chance(self) -> float:
        """Of questions with an answer, the share that a random order answers."""
        count = self.answers.sum(axis=1)
        return float(hypergeom.sf(0, self.answers.shape[1], count[count > 0], self.k).mean())


def command(
    seeds: Annotated[int, typer.Option(help="Cuts of the concepts.")] = 3,
    settle: Annotated[
        bool, typer.Option("--settle", help="Instead: how temperatures and weights fare on questions of training rows.")
    ] = False,
    out: Out = None,
) -> None:
    """Recall@10 and success@5 of every way, means over seeds with 95% intervals."""
    keeper = Keeper(out, lambda: fingerprint(samples.emoji()))
    if settle:
        settings = settled(range(seeds))
        keeper.write(settings)
        print_tables(tables(settings))
        return
    result = keeper.records
    for seed in range(seeds):
        if not result.where(seed=seed):
            result = result + measured(seed)
            keeper.write(result)
    print_tables(tables(result))


def measured(seed: int) -> Result:
    """All questions of one cut in every way, and which everyday ones were missed."""
    started = time.process_time()
    protocol = emoji.cut(seed)
    model, known = knowledge(hide(protocol.training, emoji.TARGET)[0], protocol.source, seed)
    records = list(_records(protocol, model, known, seed))
    captioned = protocol.views[protocol.views.domain != emoji.TARGET]
    everything = knowledge(hide(protocol.views, emoji.TARGET)[0], captioned, seed)
    records += _everyday(protocol, *everything, ALL_CAPTIONED, seed)
    typer.echo(f"seed {seed}: {model.chosen_}; {time.process_time() - started:.0f} CPU-s", err=True)
    return Result(records)


def knowledge(training: Views, source: Views, seed: int) -> tuple[FewPairs, Known]:
    """The model of some training rows, and what is known of the captioned ones among them."""
    model = FewPairs(emoji.FROZEN, random_state=seed).fit(training)
    return model, known_things(model, source, model.embed(source), ["image"])


def _records(protocol: emoji.Protocol, model: Any, known: Known, seed: int) -> Iterator[Record]:
    for split_name, gallery in (("known", protocol.known), ("new", protocol.new)):
        for questions in of_rows(gallery, seed):
            for way, scores in scored(model, known, gallery, questions).items():
                yield _record(way, split_name, questions, questions.right(scores), seed)
    yield from _everyday(protocol, model, known, ALL, seed)


def _everyday(protocol: emoji.Protocol, model: Any, known: Known, split_name: str, seed: int) -> Iterator[Record]:
    gallery = protocol.views[protocol.views.domain == emoji.TARGET]
    for questions in everyday(model, gallery):
        for way, scores in scored(model, known, gallery, questions).items():
            right = questions.right(scores)
            yield _record(way, split_name, questions, right, seed)
            if way in (DIRECT, FUSED):
                for word in (word for word, one in zip(questions.words, right, strict=True) if not one):
                    yield Record(way, split_name, emoji.TARGET, word, MISSED, 1.0, None, None, None, 1, seed)


def _record(way: str, split_name: str, questions: Questions, right: np.ndarray, seed: int) -> Record:
    values = right[~np.isnan(right)]
    facts = (emoji.TARGET, f"{questions.view} {questions.name}->image", questions.metric)
    return Record(way, split_name, *facts, float(values.mean()), None, None, questions.chance, len(values), seed)


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
        Questions(EVERYDAY, view, "success@5", words, np.array([[n in ANSWERS[w] for n in names] for w in words]))
        for view, words in by_view.items()
    ]


def keywords(caption: str, colon: str) -> set[str]:
    """The words after the name of a caption."""
    return {word.strip() for word in re.split("[|,，、]", caption.partition(colon)[2])} - {""}


def scored(model: Any, known: Known, gallery: Views, questions: Questions, **taus: float) -> dict[str, np.ndarray]:
    """Way -> (q, n) scores, and those of their mean as FUSED; a way that says nothing scores 0."""
    z = known_rows(model, known, gallery)
    cells = Views({questions.view: list(questions.words)}, kinds={questions.view: "text"})
    embedded, meaning = model.embed(cells)[questions.view], meanings_of(model, cells, questions.view)
    found = {way: np.zeros((len(questions.words), len(gallery))) for way in WAYS}
    for place, words in enumerate(questions.words):
        ways = known.ways(questions.view, embedded[place], words, meaning[place], **taus)
        for way in ways:
            found[way.name][place] = way.scores(*z)
            found[FUSED][place] += found[way.name][place] / len(ways)
    return found


def known_rows(model: Any, known: Known, gallery: Views) -> tuple[np.ndarray, np.ndarray]:
    """Drawings as rows of an index, and their offsets."""
    rows = known.placed(model.embed(gallery.select("image")))
    return rows, known.offsets(rows)


def settled(seeds: Sequence[int]) -> dict[str, Any]:
    """Temperatures and weights on questions made of training rows: every source style in turn has no captions, a
    quarter of the captioned concepts is new. Percent right, means over all kinds of questions, best first."""
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
    return {"settings": [[*map(str, setting), 100 * float(np.mean(scores[setting]))] for setting in best]}


def _settings(model: Any, known: Known, gallery: Views, questions: Questions) -> Iterator[tuple[tuple, float]]:
    for taus in product(*TAUS.values()):
        scores = scored(model, known, gallery, questions, **dict(zip(TAUS, taus, strict=True)))
        for weights in WEIGHTS:
            total = sum(w * scores[way] for w, way in zip(weights, WAYS, strict=False))
            yield (*taus, weights), float(np.nanmean(questions.right(np.asarray(total))))


def tables(measured: Result | dict[str, Any]) -> dict[str, Table]:
    """ "short": what is asked most, directly and in all ways. "questions": every kind in every way. "missed": everyday
    questions without an answer. Of `--settle`: "settings"."""
    if isinstance(measured, dict):
        lines = [[*map(str, setting), f"{percent:.2f}"] for *setting, percent in measured["settings"]]
        header = ["letters tau", "meaning tau", "direct, letters, meaning", "percent"]
        return {"settings": Table(header, lines, labels=3, note="On questions of training rows only.")}
    return {"short": _short(measured), "questions": _questions(measured), "missed": _missed(measured)}


def _short(result: Result) -> Table:
    """Both languages, weighted by their questions."""
    lines = []
    for name, (kind, part) in SHORT.items():
        of = result.where(split=part, direction=[f"{view} {kind}->image" for view in LANGUAGES])
        if kind == EVERYDAY:  # the same questions in every seed
            rows = {way: answered(result, part, way) for way in (DIRECT, FUSED)}
            cells, better = means_of_rows(rows), gain_of_rows(rows[FUSED], rows[DIRECT])
        else:
            runs = {way: runs_of(of, scale=100, method=way) for way in (DIRECT, FUSED)}
            cells, better = means(runs), gain(runs[FUSED], runs[DIRECT])
        lines.append([name, next(iter(of)).metric, _chance(of), *cells.values(), better])
    note = (
        f"English and Chinese together. {seeds_note(result)} Each seed cuts the concepts anew; everyday questions are "
        "the same in each, and their intervals are over seeds and questions."
    )
    return Table(["OpenMoji, percent", "metric", "chance", "directly", "all three ways", "gain"], lines, note=note)


def answered(result: Result, part: str, way: str) -> np.ndarray:
    """(seeds, questions) whether an everyday question has an answer among the first five, 1.0 or 0.0."""
    seeds = sorted({record.seed for record in result}, key=str)
    missed = {(record.seed, record.direction) for record in result.where(split=part, method=way, metric=MISSED)}
    return np.array([[float((seed, word) not in missed) for word in ANSWERS] for seed in seeds])


def _questions(result: Result) -> Table:
    """A line for each kind of question and drawings, a column for each way."""
    lines = []
    measured = (record for record in result if record.metric != MISSED)
    for part, direction, metric in dict.fromkeys((r.split, r.direction, r.metric) for r in measured):
        of = result.where(split=part, direction=direction)
        runs = {way: runs_of(of, scale=100, method=way) for way in WAYS}
        labels = [direction.partition("->")[0], part, metric]
        lines.append([*labels, _chance(of), *means(runs).values(), gain(runs[FUSED], runs[DIRECT])])
    note = f"Gain: fused less direct. {seeds_note(result)} Each seed cuts the concepts anew."
    return Table(["percent", "drawings", "metric", "chance", *WAYS, "gain"], lines, labels=3, note=note)


def _chance(result: Result) -> str:
    records = [record for record in result if record.chance is not None]
    return f"{100 * np.average([r.chance or 0 for r in records], weights=[r.n for r in records]):.1f}"


def _missed(result: Result) -> Table:
    """How many seeds found no answer among the first five, most first."""
    missed = result.where(metric=MISSED, method=FUSED)
    words = dict.fromkeys(record.direction for record in missed)
    counts = {w: [len(missed.where(direction=w, split=part)) for part in (ALL, ALL_CAPTIONED)] for w in words}
    lines = [[word, *map(str, counts[word])] for word in sorted(words, key=lambda word: [-n for n in counts[word]])]
    note = f"How many of {len({record.seed for record in result})} seeds had no answer among the first five."
    return Table(["everyday question", "half captioned", "all captioned"], lines, note=note)
