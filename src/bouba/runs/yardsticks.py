"""The table of what stands beside a method: trained or solved on the same rows, without its idea."""

from __future__ import annotations

from bouba.runs.method import Method

LINEAR_CCA = Method(
    "linear-cca",
    "align.LinearBaseline",
    "Linear CCA",
    "is a simple linear method without a neural network, here as a yardstick.",
    instead="Few rows, or features that say too little: try --method few-pairs, which aligns frozen encoders.",
)
LATE_FUSION = Method(
    "late-fusion",
    "fuse.FusionClassifier",
    "Late fusion",
    "is the baseline: the same towers, each view predicting alone, and the mean of their probabilities.",
    instead="Take it instead: --fusion late.",
)
SOURCE_ONLY = Method(
    "source-only",
    "fuse.FusionClassifier",
    "Source only",
    "is the baseline: the same classifier, trained on the labelled domains alone.",
    instead="Adapting did harm here: leave it out (--method classifier).",
)
REGRESSION = Method(
    "regression",
    "transfer.RegressionTranslator",
    "Regression",
    "is the baseline: the mean of all that would fit, the same at every draw.",
    translates=True,
    instead="It draws one mean answer; where that is all you need, take it: bouba.transfer.RegressionTranslator.",
)
NEAREST = Method(
    "nearest",
    "transfer.NearestTranslator",
    "Nearest neighbour",
    "is the baseline that copies: the targets of the training rows whose sources are most alike.",
    translates=True,
    instead="It copies training items; where these will do, take it: bouba.transfer.NearestTranslator.",
)
TARGET_STATISTICS = Method(
    "source-only-normed",
    "fuse.FusionClassifier",
    "Source only, normed",
    "is the same classifier of the labelled domains, its BatchNorm given the mean and variance of the target: what "
    "adaptation has to beat before it has learnt anything (AdaBN).",
    instead="Mean and variance of the target are all that helps here; try --towers packaged next.",
)
FROZEN_CCA = Method(
    "frozen-cca",
    "align.FewPairs",
    "Linear CCA on frozen encoders",
    "is the simplest map between frozen encoders, as a yardstick.",
    instead='Take it instead: --method few-pairs with candidates = ["cca"] in a recipe.',
)
SIMPLE = Method(
    "simple",
    "runs.simple.SimplePredictor",
    "Simple baseline",
    "is the best of what scikit-learn makes of n-grams, pixels, sounds and numbers, chosen on training rows.",
)
FROZEN = Method(
    "frozen",
    "runs.simple.SimplePredictor",
    "Frozen encoders",
    "are networks that were trained before, with a linear model on top.",
)
FEATURES = {
    "tf-idf": ("TF-IDF", "reads texts alone, by their words and letters"),
    "simple": ("Simple features", "reads n-grams, small pictures, sound statistics and numbers"),
    "frozen": ("Frozen encoders", "reads by networks that were trained before and stay as they are"),
}
HEADS = {"logistic": "logistic regression", "ridge": "ridge regression", "linear": "linear models", "probe": "a probe"}
"""Ending of a simple baseline's name -> what is solved on its features."""
_COMPOSED = [
    Method(
        f"{features}-{head}",
        "runs.simple.SimplePredictor",
        f"{title} + {solved}",
        f"is a simple baseline: it {reads}, and is solved by scikit-learn in seconds.",
        instead=f"{title} with {solved} of scikit-learn will do for these rows.",
    )
    for features, (title, reads) in FEATURES.items()
    for head, solved in HEADS.items()
]
BOOSTING = Method(
    "boosting",
    "runs.simple.SimplePredictor",
    "Gradient boosting",
    "is a simple baseline: boosted trees on numbers, and on few columns of every other view.",
    instead="Boosted trees of scikit-learn on the columns of this table are enough, and quicker.",
)
RIVALS = {
    method.name: method
    for method in (
        LINEAR_CCA,
        FROZEN_CCA,
        SIMPLE,
        FROZEN,
        LATE_FUSION,
        SOURCE_ONLY,
        TARGET_STATISTICS,
        REGRESSION,
        NEAREST,
        BOOSTING,
        *_COMPOSED,
    )
}
"""What is trained or solved beside a method, to be compared with. SIMPLE and FROZEN stand in records under the name of
what was taken, such as tf-idf-logistic."""
