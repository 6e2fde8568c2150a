"""MultiVae: variational autoencoders of several views."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bouba.bench.against.contest import Arrays, Contest, Peer
from bouba.metrics import cross_coherence, joint_coherence

VIEWS, LATENT, HIDDEN, EPOCHS, BATCH, SAMPLES = 3, 32, 400, 40, 128, 500
ROWS, TEST_ROWS, JUDGED_BY = 4000, 500, 10_000
SIDE = 14
NAMES = [f"view{v}" for v in range(VIEWS)]


def coloured(digits: np.ndarray, view: int, random: np.random.Generator) -> np.ndarray:
    """Digits (n, SIDE, SIDE) in [0, 1] in the opposite of a random colour, which is darker, lighter or anything by
    view, with grain: float32 (n, SIDE * SIDE * 3)."""
    low, high = ((0.0, 0.45), (0.55, 1.0), (0.0, 1.0))[view]
    back = random.uniform(low, high, (len(digits), 1, 1, 3))
    ink = (back + 0.5) % 1.0
    pictures = back + digits[:, :, :, None] * (ink - back) + 0.03 * random.normal(size=(*digits.shape, 3))
    return pictures.clip(0, 1).reshape(len(digits), -1).astype(np.float32)


def contrast(pictures: np.ndarray) -> np.ndarray:
    """How far each pixel is from the picture's border, (n, SIDE * SIDE): what a judge of any colour reads."""
    pictures = pictures.reshape(-1, SIDE, SIDE, 3)
    border = np.concatenate([pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]], 1)
    far = np.abs(pictures - np.median(border, axis=1)[:, None, None]).sum(3).reshape(len(pictures), -1)
    return far / far.max(axis=1, keepdims=True).clip(1e-6)


def digits(
    seed: int,
    folder: Path | None,
    *,
    scale: float = 2.0,
    their_scale: float = 2.0,
    beta: float = 1.0,
    alpha: float = 0.9,
    our_lr: float = 2e-3,
    their_lr: float = 2e-3,
) -> Arrays:
    """Rows of VIEWS pictures of different digits with one number, and new rows; digits that a judge learns from.

    Args:
        scale, our_lr: of bouba. their_scale, their_lr: of the peer. beta, alpha: of both.
    """
    assert folder is not None
    with np.load(folder / "mnist.npz") as kept:
        x, y = kept["train_x"], kept["train_y"]
    random = np.random.default_rng(seed)
    light = x.reshape(len(x), SIDE, 2, SIDE, 2).mean((2, 4)) / 255
    order = random.permutation(len(x))
    judges, pool = order[:JUDGED_BY], order[JUDGED_BY:]
    shown = np.array_split(light[judges], VIEWS)
    arrays = {
        "seed": np.array(seed), "sizes": np.array([VIEWS, LATENT, HIDDEN, EPOCHS, BATCH, SAMPLES]),
        "scale": np.array(scale), "beta": np.array(beta), "alpha": np.array(alpha), "our_lr": np.array(our_lr),
        "their_lr": np.array(their_lr), "their_scale": np.array(their_scale),
        "judge_x": np.concatenate([contrast(coloured(each, v, random)) for v, each in enumerate(shown)]),
        "judge_y": y[judges],
    }  # fmt: skip
    halves = {"train": (pool[: len(pool) // 2], ROWS), "test": (pool[len(pool) // 2 :], TEST_ROWS)}
    for part, (rows, n) in halves.items():
        labels = random.integers(0, 10, n)
        for view, name in enumerate(NAMES):
            of_label = [rows[y[rows] == label] for label in range(10)]
            chosen = np.array([random.choice(of_label[label]) for label in labels])
            arrays[f"{part}_{name}"] = coloured(light[chosen], view, random)
        if part == "test":
            arrays["judge_labels"] = labels
    return arrays


def drawn(arrays: Arrays, *, experts: str) -> Arrays:
    """Each view drawn from each other for new rows, and all from nothing."""
    from bouba import MLP, MultimodalVAE, Views

    model = MultimodalVAE(
        dict.fromkeys(NAMES, MLP((HIDDEN,), dropout=0.0)),
        experts=experts, beta=float(arrays["beta"]), alpha=float(arrays["alpha"]), dim=LATENT, hidden=HIDDEN,
        likelihoods=dict.fromkeys(NAMES, "laplace"), scale=float(arrays["scale"]), epochs=EPOCHS, batch_size=BATCH,
        lr=float(arrays["our_lr"]), random_state=int(arrays["seed"]),
    )  # fmt: skip
    model.fit(Views({name: arrays[f"train_{name}"] for name in NAMES}))
    answers: dict[str, np.ndarray] = {}
    for source in NAMES:
        found = model.draw(Views({source: arrays[f"test_{source}"]}))
        answers |= {f"{source}_{to}": found[to][:, 0] for to in NAMES if to != source}
    return answers | {f"none_{to}": items for to, items in model.sample(SAMPLES).items()}


def coherence(arrays: Arrays, answers: Arrays) -> float:
    """Percent: the mean of cross-coherence, over all pairs of views, and joint coherence."""
    return 100 * float(np.mean(both_coherences(arrays, answers)))


def both_coherences(arrays: Arrays, answers: Arrays) -> tuple[float, float]:
    """Shares: cross-coherence, over all pairs of views, and joint coherence."""
    from sklearn.neural_network import MLPClassifier

    judge = MLPClassifier((128,), max_iter=40, tol=1e-3, random_state=0).fit(arrays["judge_x"], arrays["judge_y"])
    labels = {name: judge.predict(contrast(items)) for name, items in answers.items()}
    pairs = [f"{source}_{to}" for source, to in itertools.permutations(NAMES, 2)]
    cross = np.mean([cross_coherence(labels[pair], arrays["judge_labels"]).mean() for pair in pairs])
    joint = joint_coherence(np.column_stack([labels[f"none_{to}"] for to in NAMES])).mean()
    return float(cross), float(joint)


def contest(name: str, experts: str, settings: str, **chosen: Any) -> Contest:
    """Of one kind of experts."""
    measure = "percent coherent, mean of cross and joint"
    data, ours = partial(digits, **chosen), partial(drawn, experts=experts)
    return Contest(name, measure, settings, data, ours, coherence, seeds=3, on_data=True)


EQUAL = (
    "networks, standardised numbers, latent width, Laplace of scale 2 (chosen on another seed), epochs, batch, cosine "
    "from 2e-3 as ours; "
)
PEER = Peer(
    "multivae",
    packages=("multivae==1.0.3",),
    contests=(
        contest("MVAE", "product", EQUAL + "beta 1, no warm-up"),
        contest("MMVAE", "mixture", EQUAL + "beta 1, Gaussian, one draw"),
        contest("MoPoE", "mopoe", EQUAL + "beta 1"),
        contest("MVTCAE", "mvtcae", EQUAL + "beta 1, alpha .9"),
    ),
    torch=True,
    note="Rows are three 14 x 14 pictures of different MNIST digits with one number, on random colours; a judge reads "
    "contrast (of real pictures 95% right, 86% all three). Its torchvision does not import beside torch's CPU build: "
    "empty modules stand in for it.",
)
