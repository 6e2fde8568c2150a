"""sentence-transformers: Matryoshka embeddings, and the same small encoder trained by each."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bouba.bench.against.contest import Arrays, Contest, Peer
from bouba.data import decode, samples
from bouba.data.split import split
from bouba.data.views import Views
from bouba.learner import Learner
from bouba.metrics import retrieval
from bouba.terms import InfoNCE, Nested
from bouba.terms.term import Space
from bouba.towers import EncoderSpec, SameAs
from bouba.towers.spec import Learned
from bouba.towers.tower import Encoder

BUCKETS, LONGEST = 8192, 160
WIDTH, DIM, WIDTHS = 256, 128, (8, 16, 32, 64)
EPOCHS, BATCH = 30, 128
TEMPERATURE = 0.05  # 1 / 20, the peer's scale


def numbers(seed: int, folder: Path | None) -> Arrays:
    """64 pairs of embeddings."""
    random = np.random.default_rng(seed)
    a = random.normal(size=(64, DIM)).astype(np.float32)
    return {"a": a, "b": (a + 2 * random.normal(size=a.shape)).astype(np.float32)}


def value(arrays: Arrays) -> Arrays:
    """The sum over widths, as the peer has it; ours is the mean."""
    term = Nested(InfoNCE(temperature=TEMPERATURE, learn=False), WIDTHS)
    from bouba.batch import Batch

    z = {name: torch.from_numpy(arrays[name]) for name in ("a", "b")}
    everywhere = torch.ones(64, dtype=torch.bool)
    batch = Batch({}, dict.fromkeys(z, everywhere), torch.arange(64), z=z)
    cost, _ = term.loss(batch, term.state(Space(dims=dict.fromkeys(z, DIM))))
    return {"value": (len(WIDTHS) + 1) * cost.detach().numpy()}


def error(arrays: Arrays, answers: Arrays) -> float:
    """|value / what a loop in float64 gives - 1|, in parts per million."""
    a, b, total = arrays["a"].astype(float), arrays["b"].astype(float), 0.0
    for width in (*WIDTHS, DIM):
        u, v = (x[:, :width] / np.linalg.norm(x[:, :width], axis=1, keepdims=True) for x in (a, b))
        s = u @ v.T / TEMPERATURE
        for way in (s, s.T):
            total += float(np.mean(np.log(np.exp(way).sum(axis=1)) - np.diag(way))) / 2
    return 1e6 * abs(float(answers["value"]) / total - 1)


def names(seed: int, folder: Path | None) -> Arrays:
    """1,594 emoji: the grams of an English name and of its keywords; 80% of the concepts train, variants together."""
    views = samples.emoji(styles="noto")
    views = views[np.array([": " in str(text) for text in views["en"]])]
    part = split(views, {"train": 0.8, "test": 0.2}, random_state=seed)
    arrays = {}
    for side, rows in part.items():
        for place, what in enumerate(("name", "keywords")):
            arrays[f"{side}_{what}"] = np.stack([grams(str(text).split(": ", 1)[place]) for text in rows["en"]])
    return arrays


def grams(text: str) -> np.ndarray:
    """(LONGEST,) words and their runs of 3 to 5 letters, hashed from 1; 0 where there is none."""
    words = re.findall(r"\w+", text.lower())
    found = [*words, *(f"<{w}>"[i : i + n] for w in words for n in (3, 4, 5) for i in range(len(w) + 3 - n))]
    hashed = [zlib.crc32(gram.encode()) % (BUCKETS - 1) + 1 for gram in found][:LONGEST]
    return np.array(hashed + [0] * (LONGEST - len(hashed)))


class BagEncoder(Encoder):
    """Numbers of grams (LONGEST,) -> the mean of their embeddings (B, WIDTH)."""

    def __init__(self) -> None:
        super().__init__()
        self.width = WIDTH
        self.bag = nn.EmbeddingBag(BUCKETS, WIDTH, mode="mean", padding_idx=0)

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        return {"values": torch.from_numpy(np.stack([decode.vector(cell) for cell in cells]))}

    def forward(self, values: Tensor) -> Tensor:
        return self.bag(values.long())


@dataclass(frozen=True)
class Bag(EncoderSpec):
    """The peer's StaticEmbedding."""

    kind: ClassVar[str] = "vector"

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        return {}

    def build(self, learned: Learned) -> BagEncoder:
        return BagEncoder()


def nested(arrays: Arrays, *, lr: float = 2e-3) -> Arrays:
    """Embeddings of the test side, both trained by one bag."""
    train, test = (
        Views({what: arrays[f"{side}_{what}"].astype(np.float32) for what in ("name", "keywords")})
        for side in ("train", "test")
    )
    towers: dict[str, Any] = {"name": Bag(), "keywords": SameAs("name")}
    objective = Nested(InfoNCE(temperature=TEMPERATURE), WIDTHS)
    return Learner(towers, objective, dim=DIM, epochs=EPOCHS, batch_size=BATCH, lr=lr).fit(train).embed(test)


def found(arrays: Arrays, answers: Arrays, *, width: int) -> float:
    """recall@10 of keywords by names, among the test side, by the first numbers."""
    key = np.arange(len(answers["name"]))
    scores = retrieval(answers["name"][:, :width], answers["keywords"][:, :width], key, key)
    return float(scores["recall@10"].mean())


SETTINGS = (
    f"the same bag of {BUCKETS:,} hashed grams and one linear map in both, {EPOCHS} epochs of {BATCH} rows, AdamW; "
    "learning rates of both chosen on the draw of seed 1000"
)
PEER = Peer(
    "sentence-transformers",
    packages=("sentence-transformers==6.2.0", "accelerate==1.15.0", "datasets==5.2.0"),
    torch=True,
    contests=(
        Contest(
            "MatryoshkaLoss",
            "parts per million off float64",
            "MatryoshkaLoss of MultipleNegativesSymmetricRankingLoss, scale 20; one call",
            numbers,
            value,
            error,
            lowest=True,
        ),
        *(
            Contest(
                f"width {width} of {DIM}",
                "recall@10, emoji names to keywords",
                SETTINGS,
                names,
                nested,
                partial(found, width=width),
            )
            for width in (8, DIM)
        ),
    ),
    note="Its losses take a model; embeddings that are ready pass through a module that gives them back.",
)
