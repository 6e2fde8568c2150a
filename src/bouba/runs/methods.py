"""The table of methods: the only place that lists them.

A method has one name, used everywhere: in recipes, after --method, in metrics.json, in reports and in file names. A new
estimator becomes a method by a row here; see docs/extending.md.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bouba.errors import RecipeError, nearest


@dataclass(frozen=True)
class Method:
    """What a person and a program should know of a method before it is fitted.

    Args:
        name: as in recipes and records. estimator: "room.Class" inside bouba.
        title: for people. sentence: what it does, to be read after its title.
        use_when: when to choose it.
        needs_label: whether it learns a label column; `several_labels`, whether it takes more than one.
        needs_target: whether it adapts to a domain without labels and has to know which.
        needs_views: the fewest views that a row can teach it by. unpaired: whether it learns from two views without a
            row that has both.
        takes_fusion: whether its views may become one vector a row.
        translates: whether it makes one view from another.
        solved: whether it has a closed form and is not trained.
        judges_epochs: whether a loss on held-out rows says which epoch was best.
        rivals: methods that are measured beside it on the same rows.
        frozen_by_default: whether frozen encoders read its views where rows are few and nobody names towers.
        centres_domains: whether it takes a target, solved as it is, and removes the mean of each domain.
        shares_encoders: whether views that one frozen encoder reads share what is learnt of them.
    """

    name: str
    estimator: str
    title: str
    sentence: str
    use_when: str = ""
    needs_label: bool = False
    several_labels: bool = False
    needs_target: bool = False
    needs_views: int = 1
    unpaired: bool = False
    takes_fusion: bool = False
    translates: bool = False
    solved: bool = False
    judges_epochs: bool = True
    rivals: tuple[str, ...] = ()
    frozen_by_default: bool = False
    centres_domains: bool = False
    shares_encoders: bool = False

    @property
    def cls(self) -> type:
        """Its estimator, imported when asked for."""
        room, _, name = self.estimator.rpartition(".")
        return getattr(importlib.import_module(f"bouba.{room}"), name)

    @property
    def needs(self) -> str:
        """What a table must have, in a few words."""
        views = "two views of which one can be made" if self.translates else "two views" if self.needs_views > 1 else ""
        views = "two views, no pair" if self.unpaired else views
        label = ("labels" if self.several_labels else "a label") if self.needs_label else ""
        target = "a target domain" if self.needs_target else ""
        return ", ".join(filter(None, (views, label, target))) or "one view"


LINEAR_CCA = Method(
    "linear-cca",
    "align.LinearBaseline",
    "Linear CCA",
    "is a simple linear method without a neural network, here as a yardstick.",
)
LATE_FUSION = Method(
    "late-fusion",
    "fuse.FusionClassifier",
    "Late fusion",
    "is the baseline: the same towers, each view predicting alone, and the mean of their probabilities.",
)
SOURCE_ONLY = Method(
    "source-only",
    "fuse.FusionClassifier",
    "Source only",
    "is the baseline: the same classifier, trained on the labelled domains alone.",
)
REGRESSION = Method(
    "regression",
    "transfer.RegressionTranslator",
    "Regression",
    "is the baseline: the mean of all that would fit, the same at every draw.",
    translates=True,
)
RIVALS = {method.name: method for method in (LINEAR_CCA, LATE_FUSION, SOURCE_ONLY, REGRESSION)}
"""What is trained or solved beside a method, to be compared with."""

_YARDSTICK: dict[str, Any] = {"needs_views": 2, "rivals": (LINEAR_CCA.name,)}
_CLOSED: dict[str, Any] = {**_YARDSTICK, "solved": True}
_FUSES: dict[str, Any] = {
    "needs_label": True,
    "takes_fusion": True,
    "rivals": (LATE_FUSION.name,),
    "frozen_by_default": True,
}
_ADAPTS: dict[str, Any] = {
    "needs_label": True,
    "needs_target": True,
    "takes_fusion": True,
    "rivals": (SOURCE_ONLY.name,),
}
_MAKES: dict[str, Any] = {"needs_views": 2, "translates": True, "rivals": (REGRESSION.name,)}

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
SIMCLR = Method(
    "simclr",
    "align.SimCLR",
    "SimCLR",
    "learns each view by itself, by telling its own cells apart under random changes.",
    "there is one view, or no pairs, and no labels",
    rivals=(LINEAR_CCA.name,),
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
    **_CLOSED,
)
KERNEL_CCA = Method(
    "kernel-cca",
    "align.KernelCCA",
    "Kernel CCA",
    "is CCA on kernels: curved relations, still in closed form.",
    "as cca, and the relation bends",
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
    **_FUSES,
)
REGRESSOR = Method(
    "regressor",
    "fuse.FusionRegressor",
    "Fusion",
    "predicts a number, with an interval, from all the views that a row has, together.",
    "rows have a number to predict, and any of their views may be missing",
    **_FUSES,
)
MULTITASK = Method(
    "multitask",
    "fuse.MultitaskLearner",
    "Multitask fusion",
    "predicts several label columns together; a row teaches those that it has.",
    "there are several label columns, with gaps",
    several_labels=True,
    **_FUSES,
)
AUTOENCODER = Method(
    "autoencoder",
    "fuse.MultimodalAutoencoder",
    "Multimodal autoencoder",
    "gives every view back from whichever views a row has, through one code.",
    "views are missing and shall be filled in, or a code a row is wanted without labels",
    takes_fusion=True,
    rivals=(LINEAR_CCA.name,),
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
    rivals=(LATE_FUSION.name, LINEAR_CCA.name),
)
METHODS = {
    method.name: method
    for method in (
        CLIP,
        ADAPTED_CLIP,
        DANN,
        MMD_ADAPTER,
        DEEP_CORAL,
        SIMCLR,
        FEW_PAIRS,
        CCA,
        KERNEL_CCA,
        PLS,
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


def wording(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Name -> (title, sentence) of the methods among these names, for a report."""
    rows = {**RIVALS, **METHODS}
    return {name: (rows[name].title, rows[name].sentence) for name in names if name in rows}
