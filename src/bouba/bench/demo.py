"""The demo: words find emoji in a style that nobody captioned, as a run folder with a report of how well.

Frozen encoders read each drawing and each caption once; all else stands on their features and takes seconds: linear CCA
(on pixels, the yardstick), CLIP and CLIP + DANN with heads trained on the features, and FewPairs, whose run is kept.
`bouba bench emoji` trains CLIP and CLIP + DANN from scratch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bouba import report
from bouba.align import FewPairs
from bouba.bench import emoji_methods
from bouba.bench import emoji_protocol as emoji
from bouba.bench.everyday import ANSWERS
from bouba.data.schema import Schema
from bouba.data.views import Views
from bouba.evaluation import Result
from bouba.report import build
from bouba.runs import certainty, known
from bouba.runs import folder as run_folder
from bouba.runs.describing import recipe_of
from bouba.runs.indexing import write_search
from bouba.runs.lock import locked
from bouba.runs.methods import ADAPTED_CLIP, CLIP, FEW_PAIRS, LINEAR_CCA, wording
from bouba.runs.reporting import tries
from bouba.runs.run import Run
from bouba.runs.stages import TIME, Clock, Stages, time_spent
from bouba.runs.toml import to_toml
from bouba.towers import Joined, Packaged
from bouba.train.progress import progress_bar

TRAINED = {CLIP.name: "frozen CLIP", ADAPTED_CLIP.name: "frozen CLIP + DANN"}
SOLVED = {LINEAR_CCA.name: emoji_methods.LINEAR_CCA, FEW_PAIRS.name: emoji_methods.FEW_PAIRS}
COMPARED = (LINEAR_CCA.name, *TRAINED, FEW_PAIRS.name)
AT_ONCE = 256  # cells between two steps of the progress bar
WORDS = ("snowman", "dog", "cat", "a red fruit", "heart", "火车", "苹果")
SAMPLES = (
    "red apple",
    "dog face",
    "fire",
    "bicycle",
    "rainbow",
    "pizza",
    "octopus",
    "key",
    "soccer ball",
    "umbrella",
)


def make_demo(out: Path, *, seed: int, epochs: int | None, say: Callable[[str], None]) -> tuple[Result, Clock]:
    """Encode, align, compare, and write a run folder of FewPairs.

    Args:
        epochs: of CLIP and CLIP + DANN; None for those of `bouba bench emoji`.

    Returns:
        The numbers, and where the time went.

    Raises:
        MissingExtraError: the packaged encoders are not installed.
    """
    out.resolve().parent.mkdir(parents=True, exist_ok=True)
    with locked(out.resolve(), say):
        return _made(out.resolve(), seed=seed, epochs=epochs, say=say)


def _made(out: Path, *, seed: int, epochs: int | None, say: Callable[[str], None]) -> tuple[Result, Clock]:
    clock = Clock()
    run_folder.settle(out)
    run_folder.refuse_occupied(out, overwrite=True)
    protocol = emoji.cut(seed)
    part = run_folder.begin(out, lambda folder: None)
    clock("read")
    _encode(protocol, say)
    clock("encode")
    models, result = {}, Result([])
    for method in COMPARED:
        models[method] = _fit(method, protocol, seed, epochs, say)
        clock(f"fit {method}")
        result = result + emoji.judge(method, models[method], protocol, seed)
        clock("measure")
    say(f"{FEW_PAIRS.name} took {models[FEW_PAIRS.name].chosen_}")
    concepts = protocol.views.replace(group=None)  # it is asked for what it knows: folds part concepts, not variants
    model = FewPairs(emoji.SEARCHED, random_state=seed).fit(concepts, target=emoji.TARGET)
    clock("fit all captions")
    _write_run(part, protocol, model, models, result, seed=seed)
    clock("index")
    page = _page(protocol, models, result, clock)
    found = [_found_by_words(Run(part), protocol.views)]
    tried, galleries = tries(part, out, model), [*found, *page.galleries]
    page = replace(page, advice=Run(part).advice(), tries=tried, serve=f"bouba serve {out}", galleries=galleries)
    report.write(page, part / "report.html")
    run_folder.finish(part, out)
    clock("report")
    return result, clock


def _encode(protocol: emoji.Protocol, say: Callable[[str], None]) -> None:
    """Have the frozen encoders read every drawing and every caption that is trained or asked with; their features are
    kept on disk, and the second time there is nothing to do."""
    texts = [str(cell) for view in ("en", "zh") for cell in protocol.views[view]]
    looking, reading = emoji.SEARCHED["image"], emoji.SEARCHED["en"]
    assert isinstance(looking, Joined), "two networks look at each drawing"
    jobs = [("drawings", spec, list(protocol.views["image"])) for spec in looking.encoders]
    for what, spec, values in [*jobs, ("captions", reading, list(dict.fromkeys(texts)))]:
        assert isinstance(spec, Packaged), "encoders that pip installs"
        say(spec.package.line)
        encoder = spec.build(spec.learn(values[:AT_ONCE]))
        detail = lambda start: f"{len(values):,} {what} are read, once"  # noqa: B023, E731  shown at once
        for start in Stages(say).each("encode", range(0, len(values), AT_ONCE), detail):
            encoder.prepare(values[start : start + AT_ONCE])


def _fit(method: str, protocol: emoji.Protocol, seed: int, epochs: int | None, say: Callable[[str], None]) -> Any:
    say(f"{method}: {len(protocol.source):,} captioned drawings")
    if method in SOLVED:
        return emoji_methods.fit(SOLVED[method], protocol, seed)
    trained = emoji_methods.METHODS[TRAINED[method]]
    assert isinstance(trained, emoji_methods.Trained)
    passes = trained.epochs if epochs is None else epochs
    with progress_bar(method, passes) as advance:
        return emoji_methods.fit(TRAINED[method], protocol, seed, epochs=passes, on_epoch=advance)


def _write_run(
    part: Path, protocol: emoji.Protocol, model: FewPairs, models: dict[str, Any], result: Result, *, seed: int
) -> None:
    """Everything that a run folder holds, but for the report: as `bouba fit` writes it."""
    recipe = recipe_of(model) | {"fit": {"target": emoji.TARGET}}
    (part / "recipe.toml").write_text(to_toml(recipe), encoding="utf-8")
    run_folder.write_facts(part, rows=len(protocol.views), schema=Schema.of(protocol.views).to_dict())
    run_folder.write_jsonl(part / "bad_rows.jsonl", [])
    history = [{"method": name, **row} for name in TRAINED for row in models[name].history_]
    run_folder.write_jsonl(part / "history.jsonl", history)
    result.to_json(part / "metrics.json")
    model.save(part / "model")
    of_target = protocol.views.domain == emoji.TARGET
    drawings = protocol.views[of_target].select("image")
    index = write_search(model, drawings, part, known=protocol.views[~of_target])
    certainty.measured(model, index, drawings, protocol.new, known.opened(part)).save(part / certainty.FILE)


def _page(protocol: emoji.Protocol, models: dict[str, Any], result: Result, clock: Clock) -> report.Report:
    methods = [build.Method(name, models[name]) for name in (ADAPTED_CLIP.name, FEW_PAIRS.name)]
    galleries = []
    for ask, views, title in (
        ("en", protocol.known, "English words, drawings of known concepts"),
        ("zh", protocol.known, "Chinese words, drawings of known concepts"),
        ("en", protocol.new, "English words, drawings of concepts never seen"),
    ):
        drawn = build.draw_queries(methods[-1], views, ask=ask, answer="image", n=8)
        found = {methods[-1].name: (drawn.found, drawn.of)}
        galleries += build.galleries(methods, views, ask=ask, answer="image", rows=drawn.rows, title=title, found=found)
    keys = dict(zip(protocol.views.meta["name_en"], protocol.views.key))  # type: ignore[arg-type]
    sample = protocol.views[protocol.views.rows % 7 == 0]
    return report.Report(
        title="Words find pictures in a style nobody captioned",
        facts=[*build.facts(protocol.views), (TIME, time_spent(clock.spent))],
        samples=build.samples(
            protocol.views, image="image", caption="en", keys=[keys[name] for name in SAMPLES if name in keys]
        ),
        curves=build.curves({name: models[name].history_ for name in TRAINED}),
        records=[vars(record) for record in result],
        galleries=galleries,
        maps=[
            build.embedding_map(method, sample, view="image", title=f"Every seventh drawing, placed by {method.name}")
            for method in methods
        ],
        notes=_notes(),
        methods=wording(COMPARED),
    )


def _found_by_words(run: Run, views: Views) -> build.Gallery:
    """What `bouba search` finds for everyday words, judged by answers that were written down before."""
    queries = []
    for words in WORDS:
        hits = run.search(words, k=8)
        right = [hit.columns["name_en"] in ANSWERS[words] for hit in hits]
        found = [
            build.Item(None, build.picture_shown(views, "image", hit.row), hit.score, fits, str(hit.columns["name_en"]))
            for hit, fits in zip(hits, right, strict=True)
        ]
        rank = right.index(True) + 1 if any(right) else None
        queries.append(build.Query(words, None, "", rank, None, found))
    return build.Gallery("Everyday words, all OpenMoji drawings, as bouba search finds them", FEW_PAIRS.name, queries)


def _notes() -> list[str]:
    return [
        "Concepts are split three ways, anew for each seed, variants of one (man, woman astronaut) together. A (50%): "
        "captioned in noto, twemoji and fluent. U (30%): only their OpenMoji drawings are seen, without caption, label "
        "or key. H (20%): never seen in any style. No OpenMoji drawing of A or H is used in training; a fifth of the "
        "concepts, on which settings were chosen, is not judged. Queries in the galleries are drawn at random.",
        "The run that is searched knows the captions of all concepts in noto, twemoji and fluent, and none of "
        "OpenMoji; the numbers are of models that saw A alone.",
        "One training run, so intervals cover which concepts were asked, not how training went; "
        "`bouba bench emoji` covers both.",
        "Drawings: Noto (Apache-2.0), Twemoji (CC-BY-4.0), OpenMoji (CC-BY-SA-4.0), Fluent (MIT); "
        "names: emojibase (MIT).",
    ]
