"""`bouba.tune`: a run whose method and settings are searched for before it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bouba.device import running_on
from bouba.errors import UsageError
from bouba.runs.composing import apart, composed
from bouba.runs.making import make
from bouba.runs.processes import process_count
from bouba.runs.reading import refuse_names_for_views
from bouba.runs.run import Run
from bouba.runs.tuning.budget import Limit
from bouba.runs.tuning.tuning import Tuning


def tune(  # noqa: PLR0913 - an option a parameter, as on the command line
    table: Any,
    *,
    out: str | Path,
    methods: str | Sequence[str] | None = None,
    minutes: float = 10.0,
    cpu_minutes: float | None = None,
    trials: int | None = None,
    recipe: str | Path | Mapping[str, Any] | None = None,
    read: Mapping[str, Any] | None = None,
    target: Any = None,
    holdout: float | None = None,
    allow_duplicates: bool | None = None,
    baseline: bool = True,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    verbose: bool = False,
    say: Callable[[str], None] | None = None,
    **arguments: Any,
) -> Any:
    """Search for the method, encoders, fusion and arguments that suit a table, fit the best, and write a run folder.

    Trials are fitted on four fifths of the training rows and judged on the others, cut by key or group: by accuracy or
    R^2 where a label is predicted, by the mean reciprocal rank of partners where views are aligned, without the
    target's labels where there is a target. The rows that the report judges are seen by no trial. First come the plain
    recipes, those of `bouba fit --method NAME`; then a tree-structured Parzen estimator proposes others, and trials
    that others are ahead of after a quarter or a half of their epochs are stopped (successive halving). The best recipe
    is then fitted on all training rows, as `Run.fit` does. What was tried is kept as study.json and in the report.

    Use it where a table is to be answered as well as can be and minutes do not matter; `Run.fit` where they do, or
    where you know what suits. What it tries is stated in bouba/runs/tuning/space.py.

    Args:
        table, out, read, target, holdout, allow_duplicates, baseline, device, overwrite, verbose, say: as in `Run.fit`.
        methods: names of `bouba methods` to search among; chosen by the table when None: those that predict where a
            label is named in `read`, or there is one view with a label, else those that align.
        minutes: of all trials and of the fit of the winner; measuring, index and report come on top, and one trial ends
            whatever it takes. cpu_minutes: the same of the processor, instead. trials: how many at most.
        recipe: what all trials share: what it says, and `arguments`, is not searched.
        resume: go on with a search that was cut off.

    Returns:
        A Run, whose `study` has the trials.

    Raises:
        MissingExtraError: the extra `tune` (optuna) is not installed. UsageError: methods that no one score compares, a
            limit below 0, and as in `Run.fit`. DataError: too few rows to judge by; no trial that ended.

    References: Bergstra et al. 2011, Algorithms for Hyper-Parameter Optimization (the estimator); Li et al. 2020, A
    System for Massively Parallel Hyperparameter Tuning (successive halving, asynchronous); Akiba et al. 2019, Optuna.
    """
    if process_count() > 1:
        raise UsageError("a search runs in one process; leave torchrun out")
    refuse_names_for_views(table, read or {})
    names = [methods] if isinstance(methods, str) else list(methods or ())
    fit = {"target": target, "validation": None, "holdout": holdout, "allow_duplicates": allow_duplicates}
    arguments, towers = apart(arguments)
    tuning = Tuning(Limit.of(minutes, cpu_minutes, trials), names, towers=towers)
    with running_on(device):
        model = make(
            table,
            Path(out),
            compose=lambda before: composed(
                before if recipe is None else recipe, None, read=read or {}, fit=fit, fusion=None, arguments=arguments
            ),
            named={"source": None, "target": None, "towers": None},
            baseline=baseline,
            resume=resume,
            overwrite=overwrite,
            verbose=verbose,
            say=say,
            tuning=tuning,
        )
    run = Run(out, device=device)
    if model is not None:
        run.model = model  # the same to the bit as what would be loaded
    return run
