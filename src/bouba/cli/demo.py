"""bouba demo: a picture found by a word, in a drawing style for which nobody ever wrote a caption."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from bouba.bench import emoji_protocol as emoji
from bouba.cli import recipe, run_folder
from bouba.cli.index import build_index
from bouba.evaluation import Result

EPOCHS = 22  # four fewer than the benchmark: under five minutes on two cores that others use too
SHOWN = (
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


def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder; an older demo there is replaced.")] = Path(
        "runs/demo"
    ),
    seed: Annotated[int, typer.Option(help="Seed of the cut and of the training.")] = 0,
    epochs: Annotated[int, typer.Option(help="Passes over the captioned drawings.")] = EPOCHS,
) -> None:
    """Train on the built-in emoji, measure, and write runs/demo/report.html."""
    clock = Clock()
    protocol = emoji.cut(seed)
    folder = run_folder.begin(out, resume=False, overwrite=True)
    run_folder.write_jsonl(folder / "bad_rows.jsonl", [])
    clock("read")
    models, result = {}, Result([])
    for method in emoji.METHODS:
        models[method] = _fit(method, protocol, seed, epochs)
        clock(f"train {method}")
        result = result + emoji.judge(method, models[method], protocol, seed)
        clock("measure")
    result.to_json(folder / "metrics.json")
    adapted = models[emoji.ADAPTED_CLIP_NAME]
    adapted.save(folder / "model")
    models[emoji.CLIP_NAME].save(folder / emoji.CLIP_NAME / "model")
    run_folder.write_jsonl(
        folder / "history.jsonl",
        [{"method": m, **row} for m in emoji.METHODS[:2] for row in models[m].history_],
    )
    plan = {
        "method": emoji.ADAPTED_CLIP_NAME,
        "arguments": {"epochs": epochs, "random_state": seed},
        "fit": {"target": emoji.TARGET},
    }
    (folder / "recipe.toml").write_text(recipe.to_toml(plan))
    drawings = protocol.views[protocol.views.domain == emoji.TARGET]
    build_index(adapted, drawings.select("image", "en", "zh"), folder / "index")
    clock("index")
    _report(folder, protocol, models, result, clock)
    run_folder.finish(folder, out)
    clock("report")
    shown = result.where(
        metric=["recall@10", "group_accuracy"], direction=["en->image", "zh->image", "image->en", "image"]
    )
    typer.echo(shown.format(rows=("split", "direction", "method")))
    typer.echo(f"\n{clock}\n\nreport: {out / 'report.html'}")
    typer.echo(f'search: bouba search {out} "snowman"      bouba search {out} "水果：苹果，红色"')


class Clock:
    """Where the time went, in seconds."""

    def __init__(self) -> None:
        self.last, self.spent = time.perf_counter(), dict[str, float]()

    def __call__(self, what: str) -> None:
        now = time.perf_counter()
        self.spent[what] = self.spent.get(what, 0.0) + now - self.last
        self.last = now

    def __str__(self) -> str:
        parts = ", ".join(f"{what} {seconds:.0f} s" for what, seconds in self.spent.items())
        return f"{sum(self.spent.values()):.0f} s in all: {parts}"


def _fit(method: str, protocol: emoji.Protocol, seed: int, epochs: int) -> Any:
    from bouba.train.progress import progress_bar

    if method == emoji.LINEAR_CCA_NAME:
        return emoji.fit(method, protocol, seed)
    sys.stderr.write(f"{method}: {len(protocol.source)} captioned drawings\n")
    with progress_bar(method, epochs) as advance:
        return emoji.fit(method, protocol, seed, epochs=epochs, on_epoch=advance)


def _report(folder: Path, protocol: emoji.Protocol, models: dict[str, Any], result: Result, clock: Clock) -> None:
    from bouba import report
    from bouba.report import build

    methods = [build.Method(name, models[name]) for name in emoji.METHODS[:2]]
    walls = []
    for ask, views, title in (
        ("en", protocol.known, "English words, drawings of known concepts"),
        ("zh", protocol.known, "Chinese words, drawings of known concepts"),
        ("en", protocol.new, "English words, drawings of concepts never seen"),
    ):
        rows = build.pick_queries(views, ask=ask, answer="image", n=8)
        walls += build.galleries(methods, views, ask=ask, answer="image", rows=rows, title=title)
    keys = dict(zip(protocol.views.meta["name_en"], protocol.views.key))  # type: ignore[arg-type]
    pictures = build.samples(protocol.views, image="image", caption="en", keys=[keys[n] for n in SHOWN if n in keys])
    held = protocol.views[protocol.views.rows % 7 == 0]
    maps = [
        build.embedding_map(method, held, view="image", title=f"Every seventh drawing, placed by {method.name}")
        for method in methods
    ]
    notes = [
        "Concepts are split three ways, anew for each seed. A (50%): captioned in noto, twemoji and fluent. U (30%): "
        "only their OpenMoji drawings are seen, without caption, label or key. H (20%): never seen in any style. No "
        "OpenMoji drawing of A or H is used in training; queries in the galleries are drawn at random.",
        "One training run, so intervals cover which concepts were asked, not how training went; "
        "`bouba bench emoji --seeds 3` covers both.",
        f"Time on this machine: {clock}.",
        "Drawings: Noto (Apache-2.0), Twemoji (CC-BY-4.0), OpenMoji (CC-BY-SA-4.0), Fluent (MIT); "
        "names: emojibase (MIT).",
    ]
    page = report.Report(
        title="Words find pictures in a style nobody captioned",
        facts=build.facts(protocol.views),
        samples=pictures,
        curves=build.curves({m: models[m].history_ for m in emoji.METHODS[:2]}),
        records=[vars(record) for record in result],
        galleries=walls,
        maps=maps,
        notes=notes,
    )
    report.write(page, folder / "report.html")
