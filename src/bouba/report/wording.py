"""Names in records -> words a stranger reads. A name that is not known is shown as it is."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from bouba.data.kinds import FILES, KINDS

Methods = Mapping[str, tuple[str, str]]
"""Name of a method in the records -> its title, and a sentence on what it is, to follow the title."""

NO_METHODS: Methods = MappingProxyType({})

SPLITS = {
    "known": (
        "Known concept, new style",
        "These things had captions in other drawing styles; here they come in a style without any caption.",
    ),
    "new": (
        "New concept, new style",
        "Harder: neither these things in any style, nor any caption for this style, were seen in training.",
    ),
    "test": ("Test", "Rows that were kept out of training."),
    "validation": ("Validation", "Rows used to decide when to stop training."),
    "train": ("Training", "Rows the model learnt from: expect these to look better than they should."),
}
SIDES = {  # many, one
    "en": ("English words", "English words"),
    "zh": ("Chinese words", "Chinese words"),
    "text": ("words", "words"),
    "group": ("groups", "group"),
    **{name: (KINDS[name].plural, KINDS[name].noun) for name in FILES},
}
MEASURES = {
    "median_rank": (
        "Median place",
        "half of the right answers stand at this place or better; lower is better",
    ),
    "map": ("Mean average precision", "1 if all right answers come before all wrong ones"),
    "mrr": ("Mean reciprocal rank", "1 if the right answer is always first, 1/2 if always second"),
    "variance_explained": ("Given back", "share of a view's variance that comes back; 0 is what the mean would give"),
    "r_precision@10": (
        "Goes with its row",
        "share of made things whose true one is among the 10 held-out ones most like it, as seen by a judge that was "
        "trained apart",
    ),
    "frechet_distance": (
        "Distance from real ones",
        "Fréchet distance, as the judge sees it, between all that was made and all that is true; as chance stands what "
        "real training items give; lower is better",
    ),
    "diversity": (
        "Variety",
        "how much two things made for one row differ, as a share of how much two true ones do; 0 is always the same, "
        "and how much is right depends on what a row leaves open",
    ),
    "novelty": (
        "Newness",
        "distance to the nearest training item, as a share of that of true held-out ones; 0 is a copy, 1 as new as "
        "real ones",
    ),
    "accuracy": ("Named correctly", "share of things given the right label"),
    "group_accuracy": ("Group named correctly", "share of pictures put into the right group"),
    "zero_shot_accuracy": (
        "Group named correctly, from words alone",
        "the nearest group name wins; no classifier is trained",
    ),
}
OF_LABEL = {  # ending of a metric -> name and explanation, {0} standing for the label
    "accuracy": ("{0} named correctly", "share of rows given the right {0}"),
    "macro_f1": (
        "{0}: F1, classes alike",
        "F1 of each class, averaged, so that rare classes count as much as common ones",
    ),
    "log_loss": ("{0}: log loss", "minus the logarithm of the probability that the truth was given; lower is better"),
    "calibration_error": (
        "{0}: calibration error",
        "how far stated probabilities lie from how often they come true; lower is better",
    ),
    "r2": ("{0}: variance explained", "1 is a perfect guess, 0 as good as always guessing the mean"),
    "rmse": ("{0}: typical error (RMSE)", "root of the mean squared error, in the unit of {0}; lower is better"),
    "mae": ("{0}: mean error", "mean distance from the truth, in the unit of {0}; lower is better"),
    "zero_shot": ("{0} named from words alone", "the nearest class name wins; no classifier is trained"),
}
NO_BEST = ("diversity", "novelty")  # metrics of which neither more nor less is better
IN_UNITS = ("_log_loss", "_rmse", "_mae", "frechet_distance", *NO_BEST)  # endings of metrics that are no share
SPACES = {"raw": "as it comes", "before": "without adaptation", "after": "with adaptation"}
ACRONYMS = {word.upper(): word for word in ("CCA", "CLIP", "DANN", "GAN", "MMD", "PCA", "SigLIP", "SimCLR", "VICReg")}
PARTS = {
    "loss": "Training loss",
    "validation": "Validation",
    "lr": "Learning rate",
    "Adversarial.critic": "Critic: loss",
    "Adversarial.generator": "Generator: loss",
    "Adversarial.penalty": "Critic: steepness",
    "Adversarial.right": "Critic: how often right",
}


def method_title(name: str, methods: Methods) -> str:
    """The title of a method; of one that is not listed its name, readable: 'my-deep-cca' -> 'my deep CCA'."""
    if name in methods:
        return methods[name][0]
    return " ".join(ACRONYMS.get(word.upper(), word) for word in re.split("[-_]", name))


def method_note(name: str, methods: Methods) -> str:
    """What a listed method is, else ''."""
    return methods[name][1] if name in methods else ""


def split_words(split: str) -> tuple[str, str]:
    """A title and a sentence for a split."""
    return SPLITS.get(split, (split, ""))


def side(name: str, *, many: bool = True) -> str:
    """'en' -> 'English words'."""
    return SIDES.get(name, (name, name))[0 if many else 1]


def direction_words(direction: str) -> str:
    """'en->image' -> 'English words → pictures'; 'only image' -> 'pictures only'."""
    if "->" in direction:
        return " → ".join(direction_words(part.strip()) for part in direction.split("->"))
    if direction == "all":
        return "all views"
    if direction.startswith("only "):
        return f"{side(direction[5:])} only"
    if direction.startswith("without "):
        return f"without {side(direction[8:])}"
    return side(direction.strip())


def domain_words(domain: str, target: str | None = None) -> str:
    """'' for 'all': rows of all domains together need no word. 'openmoji, the target' for the domain adapted to."""
    if domain == "all":
        return ""
    return f"{domain}, the target" if domain == target else domain


def capital(text: str) -> str:
    """First letter large."""
    return text[:1].upper() + text[1:]


def recall_at(metric: str) -> int | None:
    """10 for 'recall@10', None for other metrics."""
    match = re.fullmatch(r"(?:recall|r|hit)@(\d+)", metric.lower())
    return int(match[1]) if match else None


def measure_words(metric: str) -> tuple[str, str]:
    """A short name and an explanation of a metric."""
    if match := re.fullmatch(r"recall@(\d+)_of_(\d+)", metric):
        top, size = (f"{int(part):,}" for part in match.groups())
        return (
            f"Found in the top {top} of {size}",
            f"what that share would be with {size} things to choose from, estimated from the places of the right "
            "answers, as if further things were like these",
        )
    k = recall_at(metric)
    if k is not None:
        name = "Found first" if k == 1 else f"Found in the top {k}"
        place = "is the first result" if k == 1 else f"is among the first {k} results"
        return name, f"share of questions whose right answer {place}"
    if metric.lower() in MEASURES:
        return MEASURES[metric.lower()]
    ending = next((end for end in OF_LABEL if metric.endswith(f"_{end}")), None)
    if ending is None:
        return capital(metric.replace("_", " ")), ""
    label = metric.removesuffix(f"_{ending}").replace("_", " ")
    name, explanation = OF_LABEL[ending]
    return capital(name.format(label)), explanation.format(label)


def is_rank(metric: str) -> bool:
    """Whether a metric is a place in a ranking, which is no fraction."""
    name = metric.lower()
    return "rank" in name and "reciprocal" not in name


def lower_is_better(metric: str) -> bool:
    """Whether a small value is a good one."""
    words = ("loss", "error", "distance", "_rmse", "_mae")
    return is_rank(metric) or any(word in metric.lower() for word in words)


def has_best(metric: str) -> bool:
    """Whether more, or less, of a metric is better."""
    return metric not in NO_BEST


def in_units(metric: str) -> bool:
    """Whether a metric is a number in a unit of its own, and no share even where it lies within [0, 1]."""
    return is_rank(metric) or metric.endswith(IN_UNITS)


def part_name(part: str) -> str:
    """Name of a column of the training history; 'Prediction.accuracy.kind' -> 'Kind: accuracy'."""
    term, _, rest = part.partition(".")
    measure, dot, label = rest.partition(".")
    if dot:
        return capital(f"{label}: {measure}") + (f" ({term})" if "-" in term else "")
    return PARTS.get(part, capital(part.replace("_", " ")))


def percent(value: float, digits: int = 1) -> str:
    """0.412 -> '41.2%'; tiny but not zero -> '<0.1%'."""
    if 0 < value < 0.0005:
        return "<0.1%"
    return f"{100 * value:.{digits}f}%"


def signed(value: float, points: object) -> str:
    """0.123 -> '+12' points, or '+0.123' where it is a number in a unit."""
    return f"{round(100 * value):+d}" if points else f"{value:+.3g}"


def number(value: float) -> str:
    """14.0 -> '14'; 14.25 -> '14.2'; 0.01234 -> '0.0123'."""
    if value == int(value):
        return f"{int(value)}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
