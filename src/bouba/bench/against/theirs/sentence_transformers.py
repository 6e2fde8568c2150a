"""sentence-transformers' side."""

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesSymmetricRankingLoss
from torch import nn

BUCKETS, WIDTH, DIM, WIDTHS = 8192, 256, 128, (8, 16, 32, 64)
EPOCHS, BATCH = 30, 128


class Ready(nn.Module):
    """Embeddings as they are."""

    def forward(self, features):
        return {**features, "sentence_embedding": features["z"]}


class Bag(nn.Module):
    """StaticEmbedding over grams that are numbered already, and one linear map, as Dense has."""

    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(BUCKETS, WIDTH, mode="mean", padding_idx=0)
        self.linear = nn.Linear(WIDTH, DIM)

    def forward(self, features):
        return {**features, "sentence_embedding": self.linear(self.bag(features["ids"]))}


def matryoshkaloss(arrays):
    """The value on ready embeddings."""
    model = SentenceTransformer(modules=[Ready()], device="cpu")
    loss = MatryoshkaLoss(model, MultipleNegativesSymmetricRankingLoss(model, scale=20.0), [*WIDTHS, DIM])
    with torch.no_grad():
        return {"value": loss([{"z": torch.from_numpy(arrays[name])} for name in ("a", "b")], None).numpy()}


def trained(arrays, lr=2e-3):
    """Embeddings of the test side, both trained by one bag."""
    torch.manual_seed(0)
    model = SentenceTransformer(modules=[Bag()], device="cpu")
    loss = MatryoshkaLoss(model, MultipleNegativesSymmetricRankingLoss(model, scale=20.0), [*WIDTHS, DIM])
    ids = {name: torch.from_numpy(array) for name, array in arrays.items()}
    rows = len(ids["train_name"])
    steps = EPOCHS * (rows // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    warmup = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, max(0.0, (steps - step) / (steps - warmup)))
    )
    random = np.random.default_rng(0)
    model.train()
    for _ in range(EPOCHS):
        order = random.permutation(rows)
        for start in range(0, rows - BATCH + 1, BATCH):
            batch = torch.from_numpy(order[start : start + BATCH])
            cost = loss([{"ids": ids[f"train_{what}"][batch]} for what in ("name", "keywords")], None)
            optimizer.zero_grad()
            cost.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        made = {what: model({"ids": ids[f"test_{what}"]})["sentence_embedding"] for what in ("name", "keywords")}
    return {what: z.numpy() for what, z in made.items()}


width_8_of_128 = width_128_of_128 = trained
