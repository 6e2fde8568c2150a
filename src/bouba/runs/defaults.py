"""What is fitted where nobody names it: which method, and which encoders read the views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bouba.errors import UsageError
from bouba.runs.methods import CLIP, FEW_PAIRS, Method, method_named
from bouba.runs.recipe import OF_THE_CUT

if TYPE_CHECKING:
    from bouba.data.views import Views
    from bouba.towers import EncoderSpec

FEW_ROWS = 10_000
"""Rows below which frozen encoders are taken; docs/encoders.md has the curve that this stands on."""
FEW_CELLS = 1_000
"""Cells of a view below which its simple features are taken where no packaged encoder reads its kind."""
ENCODERS = {"text": "multilingual-e5-small", "image": "efficientnet-lite0"}
"""Kind -> the packaged encoder that reads it."""
SCRATCH, PACKAGED = "scratch", "packaged"


def settled(
    recipe: Mapping[str, Any], views: Views, towers: str | Sequence[str] | None
) -> tuple[dict[str, Any], list[str]]:
    """A recipe that names its method and, where ready ones serve it, its encoders; and sentences on what was chosen.

    Args:
        recipe: complete but for these. views: the table, read.
        towers: "scratch", "packaged", names of packaged encoders or checkpoints; None chooses by the number of rows.

    Returns:
        The recipe as it came where it has towers of its own, or its method has no use for frozen ones.

    Raises:
        UsageError: towers that fit no view or no method. MissingExtraError: packaged ones that are not installed.
    """
    recipe = dict(recipe)
    named = [towers] if isinstance(towers, str) else list(towers or [])
    if named and "towers" in recipe:
        raise UsageError("the recipe has [towers] of its own; leave --towers out")
    if named and named != [SCRATCH]:
        specs = readers(named, views)
        recipe["method"] = method = recipe.get("method") or _method_for(recipe, views, specs).name
        _refuse_useless(method_named(method))
        return _with_towers(recipe, specs, views), [_chosen(recipe, specs, views.modalities, "")]
    ready = {} if named else ready_encoders(views)
    few = len(views) < FEW_ROWS
    if "method" not in recipe:
        method = _method_for(recipe, views, ready if few else {})
        recipe["method"] = method.name
    method = method_named(recipe["method"])
    if "towers" in recipe or not method.frozen_by_default or not ready or not few:
        return recipe, _advice(method, views, bool(named) or "towers" in recipe)
    return _with_towers(recipe, ready, views), [
        _chosen(recipe, ready, views.modalities, f"; {SCRATCH} towers learn from these rows alone")
    ]


def _kinds(views: Views) -> dict[str, str]:
    """view -> kind, of the views that a packaged encoder could read."""
    return {view: kind for view, kind in views.modalities.items() if kind in ENCODERS}


def ready_encoders(views: Views) -> dict[str, EncoderSpec]:
    """view -> its packaged encoder; empty where one that is needed is not installed."""
    from bouba.towers import Packaged

    specs = {view: Packaged(ENCODERS[kind]) for view, kind in _kinds(views).items()}
    return dict(specs) if all(spec.package.installed for spec in specs.values()) else {}


def readers(names: Sequence[str], views: Views) -> dict[str, EncoderSpec]:
    """view -> the encoder among the named ones that reads its kind.

    Raises:
        UsageError: one that reads no view, or no encoder at all. MissingExtraError: one that is not installed.
    """
    from bouba.towers import Packaged, Pretrained
    from bouba.towers.packages import PACKAGES

    if SCRATCH in names or (PACKAGED in names and len(names) > 1):
        raise UsageError(f"--towers is {SCRATCH}, {PACKAGED}, or names of encoders, got {', '.join(names)}")
    if names == [PACKAGED]:
        names = list(dict.fromkeys(ENCODERS[kind] for kind in _kinds(views).values()))
    specs: dict[str, EncoderSpec] = {}
    for name in names:
        spec: EncoderSpec = Packaged(name) if name in PACKAGES else Pretrained(name)
        fitting = {view: made for view, kind in views.modalities.items() if (made := _on(spec, kind)) is not None}
        if not fitting:
            kinds = ", ".join(f"{view} ({kind})" for view, kind in views.modalities.items())
            raise UsageError(f"--towers {name} reads no view of this table, which has {kinds}")
        specs |= fitting
    for spec in specs.values():
        if isinstance(spec, Packaged) and not spec.package.installed:
            raise spec.package.missing()
    if not specs:
        raise UsageError(f"--towers {PACKAGED} reads texts and pictures, and the table has neither")
    return specs


def _on(spec: EncoderSpec, kind: str) -> EncoderSpec | None:
    try:
        return spec.on(kind)
    except UsageError as error:
        if "reads" not in str(error):  # no such checkpoint
            raise
        return None


def _method_for(recipe: Mapping[str, Any], views: Views, specs: Mapping[str, EncoderSpec]) -> Method:
    """The method of a recipe that names none: FewPairs where frozen encoders read every view, or all but some that have
    few cells, and nothing is to be trained, else CLIP."""
    parameters = FEW_PAIRS.cls().get_params(deep=False)
    trains = any(name not in (*parameters, "dim") for name in recipe["arguments"])
    options = any(name not in (*OF_THE_CUT, "target") for name in recipe["fit"])
    options |= "objective" in recipe or "towers" in recipe
    read = all(
        kind == "vector" or view in specs or views.present[view].sum() < FEW_CELLS
        for view, kind in views.modalities.items()
    )
    pairs = len(views.columns) > 1 and len(views) < FEW_ROWS
    return FEW_PAIRS if specs and read and pairs and not trains and not options else CLIP


def _refuse_useless(method: Method) -> None:
    if "towers" not in method.cls().get_params(deep=False):
        raise UsageError(f"{method.name} reads by simple features and takes no --towers; leave it out")


def _with_towers(recipe: dict[str, Any], specs: Mapping[str, EncoderSpec], views: Views) -> dict[str, Any]:
    """With these encoders, and the usual ones of other views. Of a method that shares one map among views of an
    encoder, those after the first are the same as it."""
    from bouba.runs.describing import sections_of
    from bouba.towers import SameAs

    method = method_named(recipe["method"])
    towers: dict[str, Any] = {}
    for view, kind in views.modalities.items():
        spec = specs.get(view)
        first = next((other for other, tower in towers.items() if tower == spec), None)
        if spec is None and not method.solved:
            from bouba.learner.building import DEFAULT_TOWERS

            towers[view] = DEFAULT_TOWERS[kind]()
        elif spec is not None:
            towers[view] = SameAs(str(first)) if method.shares_encoders and first is not None else spec
    return recipe | {"towers": sections_of({"towers": towers})["towers"]}


def _chosen(
    recipe: Mapping[str, Any], specs: Mapping[str, EncoderSpec], modalities: Mapping[str, str], alternative: str
) -> str:
    """What was taken, in a sentence."""
    views: dict[str, list[str]] = {}
    for view, spec in specs.items():
        views.setdefault(str(getattr(spec, "name", getattr(spec, "source", ""))), []).append(view)
    read = "; ".join(f"{' and '.join(names)} by {encoder}" for encoder, names in views.items())
    others = [view for view, kind in modalities.items() if view not in specs and kind != "vector"]
    if others and method_named(recipe["method"]).solved:
        read += f"; {' and '.join(others)} by simple features"
    return f"{recipe['method']}: frozen encoders read {read}{alternative and f' (--towers {SCRATCH}{alternative})'}"


def _advice(method: Method, views: Views, decided: bool) -> list[str]:
    """What would do better, where something would."""
    from bouba.towers.packages import PACKAGES

    kinds = set(_kinds(views).values())
    absent = [ENCODERS[kind] for kind in kinds if not PACKAGES[ENCODERS[kind]].installed]
    if decided or not method.frozen_by_default or not absent or len(views) >= FEW_ROWS:
        return []
    return [
        f"{method.name} learns from these {len(views):,} rows alone: {' and '.join(absent)} "
        f"{'is' if len(absent) == 1 else 'are'} not installed, with which about twice as many searches find their "
        f"answer on small tables: {PACKAGES[absent[0]].command}"
    ]
