"""Checkpoints that continue to the same weights to the bit: safetensors for tensors, JSON for the rest."""

from __future__ import annotations

import json
import random
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from bouba import durable
from bouba.errors import BoubaError, DataError, StorageError

FORMAT = 2
"""1 noted neither the content of the rows nor the place within an epoch; it is still read."""
DIGEST = "blake2b:"
"""What begins a digest of content, whose value tells a person nothing."""
BLOCK = 1 << 20  # bytes of a file that are read at once


def save_checkpoint(
    folder: Path, *, network: nn.Module, optimizer, best: dict | None, facts: dict, average: dict | None = None
) -> None:
    """Write weights, optimiser and random states under another name, bring them to the disk, then rename: the last one
    that was finished is there whole whenever the process or the power dies.

    Args:
        folder: where it goes; an older checkpoint there is replaced.
        network: the trained module. optimizer: its torch optimiser.
        best: the best state_dict so far under early stopping, if any.
        facts: JSON-able: epoch, step, history, what must match on resuming.
        average: of the weights, where it is what is kept.

    Raises:
        StorageError: it cannot be written; the one before is still there.
    """
    part = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _write(part, network, optimizer, {"best": best, "average": average}, facts)
        durable.replace_folder(part, folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)  # the room is needed
        reason = getattr(error, "strerror", None) or str(error)
        kept = "the one before it is kept, fit again with resume=True" if has_checkpoint(folder) else "fit again"
        raise StorageError(f"cannot write the checkpoint {folder}: {reason}; make room, then: {kept}") from error


def _write(part: Path, network: nn.Module, optimizer, others: dict[str, dict | None], facts: dict) -> None:
    save_file(_plain(changing(network)), part / "network.safetensors")
    for name, weights in others.items():
        if weights is not None:
            save_file(_plain(weights), part / f"{name}.safetensors")
    state = optimizer.state_dict()
    tensors = {f"{i}.{k}": v for i, s in state["state"].items() for k, v in s.items() if isinstance(v, torch.Tensor)}
    tensors |= {"random.torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors |= {f"random.cuda.{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    save_file(_plain(tensors), part / "optimizer.safetensors")
    facts = {"format": FORMAT} | facts | {"groups": state["param_groups"], "random": _random_states()}
    (part / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    seal = {file.name: _checksum(file) for file in sorted(part.iterdir())}
    (part / "seal.json").write_text(json.dumps(seal), encoding="utf-8")


def load_checkpoint(
    folder: Path, *, network: nn.Module, optimizer, same: dict, average: dict | None = None
) -> tuple[dict[str, Any], dict | None]:
    """Put everything back and return (facts, best state_dict or None).

    Args:
        same: name -> what must be as it was. average: of the weights, whose numbers become those that were saved.

    Raises:
        DataError: something named in `same` differs from the checkpoint's, and nothing was loaded; or the checkpoint
            is damaged.
    """
    durable.recover_folder(folder)
    facts = _checked("facts.json", folder, _facts)
    refuse_other(folder, facts, json.loads(json.dumps(same)))
    _checked("network.safetensors", folder, lambda file: _load_network(network, file))
    best = None
    if facts["best_epoch"]:
        best = _checked("best.safetensors", folder, load_file)
    if average is not None:
        _checked("average.safetensors", folder, lambda file: _load_average(average, file))
    _checked("optimizer.safetensors", folder, lambda file: _load_optimizer(optimizer, facts["groups"], file))
    _checked("facts.json", folder, lambda file: _set_random_states(facts["random"]))
    return facts, best


def _checked(name: str, folder: Path, read: Any) -> Any:
    """What `read` makes of a file. DataError where it is missing, or is not as it was written."""
    file = folder / name
    try:
        if (folder / "seal.json").exists() and json.loads((folder / "seal.json").read_text("utf-8"))[name] != (
            _checksum(file)
        ):
            raise ValueError("its content has changed")
        return read(file)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, LookupError, RuntimeError, SafetensorError) as e:
        if isinstance(e, DataError):
            raise
        why = (
            "it is missing" if isinstance(e, FileNotFoundError) else " ".join(str(e).split())[:120] or type(e).__name__
        )
        raise DataError(
            f"the checkpoint file {file} is damaged: {why}; start again without resume, or remove {folder}"
        ) from e


def _facts(file: Path) -> dict[str, Any]:
    facts = json.loads(file.read_text(encoding="utf-8"))
    if facts.get("format", 1) > FORMAT:
        raise DataError(
            f"the checkpoint {file.parent} is of format {facts['format']}, this bouba reads up to {FORMAT}; upgrade it"
        )
    if facts.get("format", 1) > 1 and not (file.parent / "seal.json").exists():
        raise ValueError("seal.json, which stands beside it, is missing")
    if [row["epoch"] for row in facts["history"]] != list(range(1, facts["epoch"] + 1)):
        raise ValueError("its history is not that of its epochs")
    return facts


def refuse_other(folder: Path, facts: Mapping[str, Any], same: Mapping[str, Any]) -> None:
    """DataError naming the first thing in which a checkpoint differs from the run that would go on with it."""
    for name, now in same.items():
        if name not in facts and facts.get("format", 1) == 1:
            continue  # it was not noted then
        before = facts.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            names = [part for part in {**now, **before} if now.get(part) != before.get(part) and part != "epochs"]
            if not names:
                continue
            name, before, now = f"{name} {names[0]}", before.get(names[0]), now.get(names[0])
        if before != now:
            contents = [str(value).startswith(DIGEST) for value in (before, now)]
            what = f"other {name}" if all(contents) else f"{name} = {_short(before)}, not {_short(now)}"
            raise DataError(
                f"the checkpoint {folder} was made with {what}; resume with the same, or start again without resume"
            )


def _short(value: Any) -> str:
    """A value in a message."""
    text = "some" if str(value).startswith(DIGEST) else str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _load_network(network: nn.Module, file: Path) -> None:
    tensors = load_file(file)
    if missing := sorted(set(changing(network)) - set(tensors)):
        raise ValueError(f"it lacks {missing[0]}")
    for name, _ in network.named_parameters():
        if name in tensors and not tensors[name].isfinite().all():
            raise ValueError(f"{name} holds numbers that are not finite")
    network.load_state_dict(tensors, strict=False)


def _load_average(average: dict[str, torch.Tensor], file: Path) -> None:
    tensors = load_file(file)
    for name, tensor in average.items():
        tensor.copy_(tensors[name])


def _load_optimizer(optimizer, groups: list, file: Path) -> None:
    """With torch's random states, which stand in the same file."""
    tensors = load_file(file)
    state: dict[int, dict] = {}
    for name, tensor in tensors.items():
        if not name.startswith("random."):
            parameter, part = name.split(".")
            state.setdefault(int(parameter), {})[part] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    for parameters in (group["params"] for group in optimizer.param_groups):
        for parameter in parameters:
            for part, tensor in optimizer.state.get(parameter, {}).items():
                if part != "step" and tensor.shape != parameter.shape:
                    raise ValueError(f"{part} has the shape of another network's")
    torch.set_rng_state(tensors["random.torch"])
    if torch.cuda.is_available() and "random.cuda.0" in tensors:
        torch.cuda.set_rng_state_all(
            [tensors[f"random.cuda.{i}"] for i in range(torch.cuda.device_count()) if f"random.cuda.{i}" in tensors]
        )


def changing(network: nn.Module) -> dict[str, torch.Tensor]:
    """What training changes: every tensor of the state_dict but frozen parameters."""
    frozen = {name for name, p in network.named_parameters(remove_duplicate=False) if not p.requires_grad}
    return {name: tensor.detach() for name, tensor in network.state_dict().items() if name not in frozen}


def refuse_infinite(network: nn.Module, when: str) -> None:
    """BoubaError for a network that must not be saved: a weight is NaN or infinite, or another number of it NaN. The
    device is waited for once.

    Args:
        when: in words, for the message.
    """
    parameters = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    tensors = {name: tensor for name, tensor in changing(network).items() if tensor.is_floating_point()}
    broken = [~t.isfinite().all() if name in parameters else t.isnan().any() for name, t in tensors.items()]
    if not broken:
        return
    flags = torch.stack(broken).tolist()
    name = next((name for name, is_broken in zip(tensors, flags, strict=True) if is_broken), None)
    if name is not None:
        raise BoubaError(f"{name} is not finite {when}, which is not saved; lower lr or check the inputs")


def has_checkpoint(folder: Path) -> bool:
    """Whether there is something to resume from."""
    return folder.exists() or durable.replaced_name(folder).exists()


def _plain(tensors: dict) -> dict:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _checksum(file: Path) -> int:
    total = 0
    with file.open("rb") as content:
        while block := content.read(BLOCK):
            total = zlib.crc32(block, total)
    return total


def _random_states() -> dict:
    version, keys, gauss = random.getstate()
    _, numpy_keys, *rest = np.random.get_state(legacy=True)  # type: ignore[misc]
    return {"python": [version, list(keys), gauss], "numpy": [np.asarray(numpy_keys).tolist(), *rest]}


def _set_random_states(states: Mapping[str, Any]) -> None:
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
    np.random.set_state(("MT19937", np.array(states["numpy"][0], np.uint32), *states["numpy"][1:]))
