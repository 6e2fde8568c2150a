"""What `bouba bench emoji` compares: every way to find drawings of a style that nobody captioned.

Those trained from scratch share their towers, those on frozen features share the encoders and a linear head a view.
All see the same rows; those that adapt also see drawings of the target style, without words.

    Linear CCA          on pixels and letters
    CLIP                InfoNCE on the captioned styles
    CLIP + DANN, + MMD, + CORAL, + CDAN      a term that brings the styles' drawings together, the target style
                        normalised by its own BatchNorm statistics
    CLIP + self-training     also predicts group labels, with sure predictions on the target as labels
    not cropped         CLIP on drawings as they come: what preparing the data alone brings
    colour              CLIP, colours of a drawing changed at random and often taken away
    statistics          CLIP, the target style normalised by its own BatchNorm statistics (adds no term)
    mix                 InfoNCE, DANN, and NT-Xent on the drawings of all styles: two random changes of a drawing
                        belong together, also where it has no caption
    frozen ...          the same on frozen features, and linear CCA on them
    FewPairs, source    FewPairs on the captioned styles alone
    FewPairs            the same with the mean of each style removed, that of the target style too
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bouba.align import CCA, FewPairs, LinearBaseline
from bouba.bench.emoji_protocol import FROZEN, SEPARATE, TARGET, Protocol
from bouba.data.augment import Augment
from bouba.learner import Learner
from bouba.runs import methods
from bouba.terms import CORAL, MMD, DomainAdversarial, InfoNCE, NTXent, Objective, Prediction, SelfTraining, Term
from bouba.towers import ConvNet, EncoderSpec, NGrams

EPOCHS = 26
FROZEN_EPOCHS = (3, 5, 8, 12, 20)
LINEAR_CCA, CLIP, ADAPTED_CLIP = (m.title for m in (methods.LINEAR_CCA, methods.CLIP, methods.ADAPTED_CLIP))
FEW_PAIRS = FewPairs.__name__
PICTURE, GROUP = ("image",), ("group",)
MATCH = Objective.of(InfoNCE())
GROUPS = MATCH + 0.3 * Prediction(GROUP)
TOWER = ConvNet(size=24, channels=16, crop=True)


@dataclass(frozen=True)
class Trained:
    """A method trained by gradient descent.

    Args:
        objective: from the weight of what adapts.
        weight: of what adapts, chosen of `weights` on the concepts for choosing. None tells that nothing adapts.
        image: tower of the pictures.
        frozen: whether it stands on frozen features.
        epochs: passes over the captioned drawings; on frozen features chosen of FROZEN_EPOCHS in the same way.
    """

    objective: Callable[[float], Term | Objective]
    weight: float | None = None
    weights: tuple[float, ...] = ()
    image: EncoderSpec = TOWER
    frozen: bool = False
    epochs: int = EPOCHS

    @property
    def adapts(self) -> bool:
        """Whether it sees the target."""
        return self.weight is not None

    @property
    def tried(self) -> list[dict[str, Any]]:
        """The settings that are chosen from."""
        epochs = FROZEN_EPOCHS if self.frozen else (self.epochs,)
        return [{"epochs": e, "weight": w} for e in epochs for w in self.weights or (self.weight,)]

    def model(self, seed: int, *, epochs: int | None = None, weight: float | None = None) -> Learner:
        """Not fitted."""
        towers: Any = SEPARATE if self.frozen else {"image": self.image, "en": NGrams(), "zh": NGrams()}
        objective = self.objective(self.weight or 0.0 if weight is None else weight)
        return Learner(towers, objective, epochs=self.epochs if epochs is None else epochs, random_state=seed)


@dataclass(frozen=True)
class Solved:
    """A closed form.

    Args:
        make: from a seed. adapts: whether it sees the target. frozen: whether it stands on frozen features.
    """

    make: Callable[[int], Any]
    adapts: bool = False
    frozen: bool = True

    def model(self, seed: int, **_: Any) -> Any:
        """Not fitted."""
        return self.make(seed)


def _plain(weight: float) -> Objective:
    return MATCH


def _dann(weight: float) -> Objective:
    return MATCH + weight * DomainAdversarial(PICTURE)


def _mmd(weight: float) -> Objective:
    return MATCH + weight * MMD(PICTURE)


def _coral(weight: float) -> Objective:
    return MATCH + weight * CORAL(PICTURE)


def _cdan(weight: float) -> Objective:
    return GROUPS + weight * DomainAdversarial(PICTURE, condition="group", entropy_weight=True)


def _self_training(weight: float) -> Objective:
    return GROUPS + weight * SelfTraining(GROUP, threshold=0.8)


def _mix(weight: float) -> Objective:
    return MATCH + 0.1 * DomainAdversarial(PICTURE) + weight * NTXent(views=PICTURE)


def _self_training_on_features(weight: float) -> Objective:
    return GROUPS + weight * SelfTraining(GROUP, threshold=0.8, twins=False)


FEW = (0.03, 0.1, 0.3)
METHODS: dict[str, Trained | Solved] = {
    LINEAR_CCA: Solved(lambda seed: LinearBaseline(random_state=seed), frozen=False),
    CLIP: Trained(_plain),
    ADAPTED_CLIP: Trained(_dann, 0.3, FEW),
    "frozen CCA": Solved(lambda seed: CCA(n_components=200, ridge=0.5, towers=FROZEN)),
    "frozen CLIP": Trained(_plain, frozen=True, epochs=5),
    "frozen CLIP + DANN": Trained(_dann, 0.03, (0.03, 0.1, 0.3, 1.0), frozen=True, epochs=5),
    "frozen CLIP + CORAL": Trained(_coral, 30.0, (1.0, 3.0, 10.0, 30.0, 100.0, 300.0), frozen=True, epochs=5),
    "frozen CLIP + self-training": Trained(_self_training_on_features, 0.3, (0.1, 0.3, 1.0), frozen=True, epochs=5),
    f"{FEW_PAIRS}, source": Solved(lambda seed: FewPairs(FROZEN, random_state=seed)),
    FEW_PAIRS: Solved(lambda seed: FewPairs(FROZEN, random_state=seed), adapts=True),
}
"""What is compared. `bouba bench emoji --choose` chose weights and epochs: on seeds 0 and 1, from scratch on seed 0."""
FURTHER: dict[str, Trained | Solved] = {
    "not cropped": Trained(_plain, image=replace(TOWER, crop=False)),
    "colour": Trained(_plain, image=replace(TOWER, augment=Augment(color=0.6, grey=0.3))),
    "statistics": Trained(_dann, 0.0),
    "CLIP + MMD": Trained(_mmd, 1.0, (0.3, 1.0, 3.0)),
    "CLIP + CORAL": Trained(_coral, 1.0, (0.3, 1.0, 3.0)),
    "CLIP + CDAN": Trained(_cdan, 0.1, FEW),
    "CLIP + self-training": Trained(_self_training, 0.1, FEW),
    "mix": Trained(_mix, 0.2, (0.1, 0.2)),
}
"""What can be compared, too. Their weights are those that they were first given."""
ALL = METHODS | FURTHER


def fit(
    name: str,
    protocol: Protocol,
    seed: int,
    *,
    target: str = TARGET,
    on_epoch: Callable[[dict], None] | None = None,
    **settings: Any,
) -> Any:
    """One of ALL, fitted on what the protocol lets it see; settings: `epochs` and `weight` in place of its own."""
    method = ALL[name]
    model = method.model(seed, **settings)
    options: dict[str, Any] = {"target": target} if method.adapts else {}
    if isinstance(method, Trained):
        options["on_epoch"] = on_epoch
    return model.fit(protocol.training if method.adapts else protocol.source, **options)
