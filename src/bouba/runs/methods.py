"""The table of methods: the only place that lists them.

A method has one name, used everywhere: in recipes, after --method, in metrics.json, in reports and in file names. A new
estimator becomes a method by a row here; see docs/extending.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bouba.errors import RecipeError, nearest
from bouba.runs.method import Method
from bouba.runs.spans import OneOf
from bouba.runs.yardsticks import (
    FROZEN,
    FROZEN_CCA,
    LATE_FUSION,
    LINEAR_CCA,
    NEAREST,
    REGRESSION,
    RIVALS,
    SIMPLE,
    SOURCE_ONLY,
    TARGET_STATISTICS,
)

_PAIRS = (LINEAR_CCA.name, "few-pairs")
_YARDSTICK: dict[str, Any] = {"needs_views": 2, "rivals": _PAIRS}
_CLOSED: dict[str, Any] = {**_YARDSTICK, "solved": True}
_FUSES: dict[str, Any] = {
    "needs_label": True,
    "takes_fusion": True,
    "rivals": (SIMPLE.name, FROZEN.name, LATE_FUSION.name),
    "frozen_by_default": True,
}
_ADAPTS: dict[str, Any] = {
    "needs_label": True,
    "needs_target": True,
    "takes_fusion": True,
    "predicts": "class",
    "rivals": (SIMPLE.name, FROZEN.name, SOURCE_ONLY.name, TARGET_STATISTICS.name),
}
_MAKES: dict[str, Any] = {"needs_views": 2, "translates": True, "rivals": (REGRESSION.name, NEAREST.name)}

CLIP = Method(
    "clip",
    "align.CLIP",
    "CLIP",
    "learns which cells belong to one row by telling them from those of other rows.",
    "one view shall find another, in the domains that training shows",
    frozen_by_default=True,
    **_YARDSTICK,
)
ADAPTED_CLIP = Method(
    "adapted-clip",
    "adapt.AdaptedCLIP",
    "CLIP + DANN",
    "is CLIP that also looks at cells of the target domain, without captions: it learns to ignore which domain a cell "
    "is from, and normalises each domain by its own statistics.",
    "one view shall find another in a domain that has no captions or pairs",
    needs_target=True,
    **_YARDSTICK,
)
DANN = Method(
    "dann",
    "adapt.DANN",
    "DANN",
    "learns classes of the labelled domains and, by an adversary, to ignore which domain a row is from.",
    "labels are in one domain and the work is in another that looks different",
    **_ADAPTS,
)
MMD_ADAPTER = Method(
    "mmd-adapter",
    "adapt.MMDAdapter",
    "MMD",
    "learns classes of the labelled domains and keeps mean embeddings of all domains alike.",
    "as dann, steadier, with some 50 rows of each domain in a batch",
    **_ADAPTS,
)
DEEP_CORAL = Method(
    "deep-coral",
    "adapt.DeepCORAL",
    "Deep CORAL",
    "learns classes of the labelled domains and keeps covariances of all domains alike.",
    "as dann, and the domains differ in scale and correlation only",
    **_ADAPTS,
)
HEAD_ADAPTER = Method(
    "head-adapter",
    "adapt.HeadAdapter",
    "Adapted head",
    "trains on the labelled domains, then solves a linear classifier for the target in every closed form (optimal "
    "transport, JDA, TCA, CORAL, importance weights), and keeps the one whose predictions there tell most.",
    "as dann, in seconds on ready features or frozen encoders",
    frozen_by_default=True,
    **_ADAPTS,
)
SIMCLR = Method(
    "simclr",
    "align.SimCLR",
    "SimCLR",
    "learns each view by itself, by telling its own cells apart under random changes.",
    "there is one view, or no pairs, and no labels",
    rivals=(SIMPLE.name, FROZEN.name, LINEAR_CCA.name),
)
CCA = Method(
    "cca",
    "align.CCA",
    "CCA",
    "finds the directions in which views of the same rows correlate most, in closed form.",
    "features are ready, rows are few, or a yardstick is wanted",
    **_CLOSED,
)
FEW_PAIRS = Method(
    "few-pairs",
    "align.FewPairs",
    "Few pairs",
    "puts a small map between frozen encoders, the one of many that finds held-out pairs best.",
    "there are tens to some thousands of pairs of pictures, texts or ready vectors",
    frozen_by_default=True,
    centres_domains=True,
    shares_encoders=True,
    instead="Take it instead: --method few-pairs.",
    **_CLOSED | {"rivals": (LINEAR_CCA.name, FROZEN_CCA.name)},
)
KERNEL_CCA = Method(
    "kernel-cca",
    "align.KernelCCA",
    "Kernel CCA",
    "is CCA on kernels: curved relations, still in closed form.",
    "as cca, and the relation bends",
    spans={"kernel": OneOf("linear", "poly")},
    most_searched=3000,
    **_CLOSED,
)
PLS = Method(
    "pls",
    "align.PLS",
    "Partial least squares",
    "finds the directions in which two views covary most.",
    "pairs are fewer than fifty, or two views are ready features of many columns",
    **_CLOSED,
)
SPARSE_CCA = Method(
    "sparse-cca",
    "align.SparseCCA",
    "Sparse CCA",
    "finds directions in which views of the same rows agree, each made of few columns.",
    "it shall be known which few of many columns two views share",
    **_CLOSED,
)
PROBABILISTIC_CCA = Method(
    "probabilistic-cca",
    "align.ProbabilisticCCA",
    "Probabilistic CCA",
    "finds the factors that views share or have alone, how many there are and how sure they are.",
    "views are missing here and there, columns are many, or the number of shared factors is asked for",
    **_CLOSED,
)
PROCRUSTES = Method(
    "procrustes",
    "align.Procrustes",
    "Procrustes",
    "whitens two views and rotates one onto the other.",
    "two views are alike in shape, such as one encoder's features of two languages",
    **_CLOSED,
)
RIDGE_MAP = Method(
    "ridge-map",
    "align.RidgeMap",
    "Ridge map",
    "predicts one view's features from the other's.",
    "one view holds what the other is about, or one encoder's space shall stand for another's",
    **_CLOSED,
)
ASIF = Method(
    "asif",
    "align.ASIF",
    "ASIF",
    "describes cells by how alike they are to known pairs, without any training.",
    "pairs come and go, and nothing shall be fitted",
    **_CLOSED,
)
MATRIX_FREE_CCA = Method(
    "matrix-free-cca",
    "align.MatrixFreeCCA",
    "Matrix-free CCA",
    "is CCA of two sparse views of any width, by conjugate gradients.",
    "two views have 10,000 columns or more, most of them zero",
    most_searched=0,
    **_CLOSED,
)
GROMOV_WASSERSTEIN = Method(
    "gromov-wasserstein",
    "align.GromovWasserstein",
    "Gromov-Wasserstein",
    "lays the views' clouds over each other so that distances within them agree, without a single pair.",
    "no row has two views, and the views' clouds have shapes of their own",
    unpaired=True,
    solved=True,
    no_rival="it sees no pair, and whatever is simple learns from pairs; blind choice is what it has to beat",
)
DEEP_CCA = Method(
    "deep-cca",
    "align.DeepCCA",
    "Deep CCA",
    "trains a network a view so that their outputs correlate.",
    "views share a continuous space and rows are many",
    **_YARDSTICK,
)
CLASSIFIER = Method(
    "classifier",
    "fuse.FusionClassifier",
    "Fusion",
    "predicts a class from all the views that a row has, together.",
    "rows have a class, and any of their views may be missing",
    predicts="class",
    **_FUSES,
)
REGRESSOR = Method(
    "regressor",
    "fuse.FusionRegressor",
    "Fusion",
    "predicts a number, with an interval, from all the views that a row has, together.",
    "rows have a number to predict, and any of their views may be missing",
    predicts="number",
    **_FUSES,
)
MULTITASK = Method(
    "multitask",
    "fuse.MultitaskLearner",
    "Multitask fusion",
    "predicts several label columns together; a row teaches those that it has.",
    "there are several label columns, with gaps",
    several_labels=True,
    predicts="labels",
    **_FUSES,
)
AUTOENCODER = Method(
    "autoencoder",
    "fuse.MultimodalAutoencoder",
    "Multimodal autoencoder",
    "gives every view back from whichever views a row has, through one code.",
    "views are missing and shall be filled in, or a code a row is wanted without labels",
    takes_fusion=True,
    rivals=(SIMPLE.name, FROZEN.name, LINEAR_CCA.name),
)
VAE = Method(
    "vae",
    "fuse.MultimodalVAE",
    "Multimodal VAE",
    "learns how likely all views are together, and draws any of them from whichever others a row has, or all anew.",
    "as autoencoder, and there are many right answers, or new rows shall be drawn",
    rivals=(SIMPLE.name, FROZEN.name, LINEAR_CCA.name),
)
GAN = Method(
    "gan",
    "transfer.ConditionalGAN",
    "Conditional GAN",
    "draws one view from another, taught by a critic that looks for what is not real.",
    "a view shall be made from another in one pass, sharp from the start",
    judges_epochs=False,
    **_MAKES,
)
FLOW = Method(
    "flow",
    "transfer.FlowTranslator",
    "Flow matching",
    "draws one view from another by carrying noise step by step to something that looks real.",
    "a view shall be made from another, with all of the variety that the data have",
    **_MAKES,
)
LEARNER = Method(
    "learner",
    "learner.Learner",
    "Learner",
    "minimises the weighted sum of terms that its recipe names.",
    "you know the terms yourself: a recipe with [[objective]]",
    several_labels=True,
    takes_fusion=True,
    rivals=(SIMPLE.name, FROZEN.name, LATE_FUSION.name, *_PAIRS),
)
METHODS = {
    method.name: method
    for method in (
        CLIP,
        ADAPTED_CLIP,
        DANN,
        MMD_ADAPTER,
        DEEP_CORAL,
        HEAD_ADAPTER,
        SIMCLR,
        FEW_PAIRS,
        CCA,
        KERNEL_CCA,
        PLS,
        SPARSE_CCA,
        PROBABILISTIC_CCA,
        PROCRUSTES,
        RIDGE_MAP,
        ASIF,
        MATRIX_FREE_CCA,
        GROMOV_WASSERSTEIN,
        DEEP_CCA,
        CLASSIFIER,
        REGRESSOR,
        MULTITASK,
        AUTOENCODER,
        VAE,
        GAN,
        FLOW,
        LEARNER,
    )
}
"""What `bouba fit --method` and recipes take, in the order of the verbs."""
DEFAULT = CLIP


def method_named(name: str) -> Method:
    """The row of a name. RecipeError names the nearest for one that does not exist."""
    if name not in METHODS:
        raise RecipeError(f"no method {name!r}{nearest(name, METHODS)}")
    return METHODS[name]


def method_of(model: object) -> Method | None:
    """The row of a fitted model's class; None for a class that is no method."""
    name, room = type(model).__name__, type(model).__module__.partition(".")[0]
    if room != "bouba":  # somebody's own class of that name
        return None
    return next((m for m in METHODS.values() if m.estimator.rpartition(".")[2] == name), None)


def instead_of(names: Iterable[str]) -> dict[str, str]:
    """Name -> what to do where it is no worse than the model, of the methods among these names, as a sentence."""
    rows = {**RIVALS, **METHODS}
    return {name: rows[name].instead for name in names if name in rows and rows[name].instead}


def wording(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Name -> (title, sentence) of the methods among these names, for a report."""
    rows = {**RIVALS, **METHODS}
    return {name: (rows[name].title, rows[name].sentence) for name in names if name in rows}
