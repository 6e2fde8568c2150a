"""lightly: self-supervised learning of pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bouba.bench.against.contest import Arrays, Contest, Peer

ROWS, WIDTH, TEMPERATURE, STEPS = 2048, 128, 0.2, 10
Loss = Callable[..., Any]


def batch(seed: int, folder: Path | None, *, loss: str) -> Arrays:
    """Embeddings of ROWS cells after two random changes, and what `loss` and its gradient are in float64."""
    import torch

    random = np.random.default_rng(seed)
    z = random.normal(size=(ROWS, WIDTH))
    twin = z + 0.5 * random.normal(size=z.shape)
    first, second = (torch.tensor(x.astype(np.float32)).double().requires_grad_() for x in (z, twin))
    value = FORMULAS[loss](first, second)
    value.backward()
    assert first.grad is not None, "every formula reads it"
    return {
        "z": z.astype(np.float32),
        "twin": twin.astype(np.float32),
        "judge_value": np.array(value.item()),
        "judge_gradient": first.grad.numpy(),
    }


def _nt_xent(z, twin):
    """Chen et al. 2020, equation 1, with the whole table."""
    import torch

    u = torch.nn.functional.normalize(torch.cat([z, twin]), dim=1)
    table = (u @ u.T / TEMPERATURE).masked_fill(torch.eye(len(u), dtype=torch.bool), -torch.inf)
    return torch.nn.functional.cross_entropy(table, torch.arange(len(u)).roll(len(z)))


def _vicreg(z, twin):
    """Bardes et al. 2022, as in the authors' program."""
    import torch

    total = 25 * (z - twin).square().mean()
    for x in (z, twin):
        covariance = torch.cov(x.T)
        total = total + 25 * (1 - (covariance.diagonal() + 1e-4).sqrt()).clamp(min=0).mean() / 2
        total = total + (covariance - covariance.diagonal().diag()).square().sum() / x.shape[1]
    return total


def _barlow_twins(z, twin):
    """Zbontar et al. 2021, equations 1 and 2, divided by d."""
    u, v = ((x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt() for x in (z, twin))
    table = u.T @ v / len(z)
    own = table.diagonal()
    return ((1 - own).square().sum() + 0.005 * (table - own.diag()).square().sum()) / len(own)


FORMULAS: dict[str, Loss] = {"NT-Xent": _nt_xent, "VICReg": _vicreg, "Barlow Twins": _barlow_twins}


def ours(arrays: Arrays, *, loss: str) -> Arrays:
    """The loss and its gradient, STEPS times."""
    import torch

    from bouba.terms import barlow_twins, nt_xent, vicreg

    functions: dict[str, Loss] = {
        "NT-Xent": partial(nt_xent, temperature=TEMPERATURE),
        "VICReg": vicreg,
        "Barlow Twins": barlow_twins,
    }
    z, twin = (torch.from_numpy(arrays[name]).requires_grad_() for name in ("z", "twin"))
    for _ in range(STEPS):
        z.grad = twin.grad = None
        value = functions[loss](z, twin)
        value.backward()
    assert z.grad is not None, "every loss reads it"
    return {"value": np.array(value.item()), "gradient": z.grad.numpy()}


def error(arrays: Arrays, answers: Arrays) -> float:
    """Largest relative error of value and gradient, in millionths."""
    value, gradient = arrays["judge_value"], arrays["judge_gradient"]
    of_value = abs(answers["value"] - value) / abs(value)
    of_gradient = np.linalg.norm(answers["gradient"] - gradient) / np.linalg.norm(gradient)
    return float(1e6 * max(of_value, of_gradient))


PEER = Peer(
    "lightly",
    packages=("lightly==1.6.0",),
    torch=True,
    contests=tuple(
        Contest(
            name,
            "largest relative error of loss and gradient, millionths",
            f"{STEPS} times loss and gradient of {ROWS:,} embeddings of width {WIDTH} and their twins, its defaults",
            partial(batch, loss=name),
            partial(ours, loss=name),
            error,
            seeds=3,
            lowest=True,
        )
        for name in FORMULAS
    ),
    note="Losses alone are compared: training with lightly's transforms and towers was not.",
)
