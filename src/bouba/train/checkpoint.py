"""Checkpoints that continue to the same weights to the bit: safetensors for tensors, JSON for the rest."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bouba.errors import DataError


def save_checkpoint(folder: Path, *, network: nn.Module, optimizer, best: dict | None, facts: dict) -> None:
    """Write weights, optimiser and random states after an epoch, under another name, then rename: never half written.

    Args:
        folder: where it goes; an older checkpoint there is replaced.
        network: the trained module. optimizer: its torch optimiser.
        best: the best state_dict so far under early stopping, if any.
        facts: JSON-able: epoch, step, history, what must match on resuming.
    """
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(_plain(changing(network)), partial / "network.safetensors")
    if best is not None:
        save_file(_plain(best), partial / "best.safetensors")
    state = optimizer.state_dict()
    tensors = {f"{i}.{k}": v for i, s in state["state"].items() for k, v in s.items() if isinstance(v, torch.Tensor)}
    tensors |= {"random.torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors |= {f"random.cuda.{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    save_file(_plain(tensors), partial / "optimizer.safetensors")
    facts = facts | {"groups": state["param_groups"], "random": _random_states()}
    (partial / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(partial, folder)
    shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path, *, network: nn.Module, optimizer, same: dict) -> tuple[dict[str, Any], dict | None]:
    """Put everything back and return (facts, best state_dict or None).

    Raises:
        DataError: a fact named in `same` differs from the checkpoint's; nothing was loaded then.
    """
    if not folder.exists() and folder.with_name(folder.name + ".old").exists():  # died between the two renames
        folder = folder.with_name(folder.name + ".old")
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    for name, now in json.loads(json.dumps(same)).items():
        if facts[name] != now:
            raise DataError(f"the checkpoint was made with {name} {facts[name]}, not {now}; resume with the same")
    network.load_state_dict(load_file(folder / "network.safetensors"), strict=False)
    best = load_file(folder / "best.safetensors") if (folder / "best.safetensors").exists() else None
    tensors = load_file(folder / "optimizer.safetensors")
    state: dict[int, dict] = {}
    for name, tensor in tensors.items():
        if not name.startswith("random."):
            parameter, part = name.split(".")
            state.setdefault(int(parameter), {})[part] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": facts["groups"]})
    torch.set_rng_state(tensors["random.torch"])
    if torch.cuda.is_available() and "random.cuda.0" in tensors:
        torch.cuda.set_rng_state_all(
            [tensors[f"random.cuda.{i}"] for i in range(torch.cuda.device_count()) if f"random.cuda.{i}" in tensors]
        )
    version, keys, gauss = facts["random"]["python"]
    random.setstate((version, tuple(keys), gauss))
    np.random.set_state(("MT19937", np.array(facts["random"]["numpy"][0], np.uint32), *facts["random"]["numpy"][1:]))
    return facts, best


def changing(network: nn.Module) -> dict[str, torch.Tensor]:
    """What training changes: every tensor of the state_dict but frozen parameters."""
    frozen = {name for name, p in network.named_parameters(remove_duplicate=False) if not p.requires_grad}
    return {name: tensor.detach() for name, tensor in network.state_dict().items() if name not in frozen}


def has_checkpoint(folder: Path) -> bool:
    """Whether there is something to resume from."""
    return folder.exists() or folder.with_name(folder.name + ".old").exists()


def _plain(tensors: dict) -> dict:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _random_states() -> dict:
    version, keys, gauss = random.getstate()
    _, numpy_keys, *rest = np.random.get_state(legacy=True)  # type: ignore[misc]
    return {"python": [version, list(keys), gauss], "numpy": [np.asarray(numpy_keys).tolist(), *rest]}
