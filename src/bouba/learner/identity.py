"""Which training a checkpoint belongs to: its rows by content, and all that is set."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import torch

from bouba.data import decode
from bouba.data.loader import Codes
from bouba.data.views import Column, Views
from bouba.errors import DataError
from bouba.learner.training_data import TrainingData
from bouba.towers.content import content_key
from bouba.train import Network
from bouba.train.checkpoint import DIGEST

ENDS = 4096  # bytes of a file that are read, at either end


def identity_of(module: Network, specs: Mapping[str, Any], codes: Codes, data: TrainingData) -> dict[str, Any]:
    """Name -> what must be the same for a training to go on from a checkpoint.

    Contents are digests. Of a file its size and its ends are read, wherever it lies: to read files whole would cost as
    much as an epoch.
    """
    views = data.views
    identity = {
        "objective": _text(module.objective),
        "drop": module.drop,
        "chunk_size": module.chunk_size,
        "target rows": None if data.is_target is None else _digest(data.is_target),
    }
    identity |= {f"tower of {name!r}": _text(spec) for name, spec in specs.items()}
    frozen = [parameter.detach() for parameter in module.parameters() if not parameter.requires_grad]
    if frozen:  # no checkpoint holds them
        identity["frozen weights"] = _digest(*(tensor.flatten().cpu().view(torch.uint8).numpy() for tensor in frozen))
    identity |= {f"cells of {name!r}": _digest(*_contents(views[name])) for name in specs}
    identity |= _roles(views, codes)
    held_out = data.held_out
    identity["held-out rows"] = (
        None
        if held_out is None
        else _digest(
            *(part for name in specs if name in held_out.columns for part in _contents(held_out[name])),
            repr(_roles(held_out, codes)).encode(),
        )
    )
    return identity


def _roles(views: Views, codes: Codes) -> dict[str, Any]:
    """Labels, domains and keys, as far as they are there."""
    roles = {f"label {name!r}": _digest(*_texts(values)) for name, values in views.y.items()}
    about = {"domains": views.domain, "keys": views.key}
    roles |= {name: _digest(*_texts(values)) for name, values in about.items() if values is not None}
    return roles | {"classes": _digest(repr(codes.classes).encode())}


def _texts(values: np.ndarray) -> Iterator[bytes]:
    return (str(value).encode("utf-8", "surrogatepass") for value in values.tolist())


def _contents(column: Column) -> Iterator[bytes | np.ndarray]:
    """What stands in a column: which cells are there, then each of them."""
    yield column.present
    if isinstance(column.values, np.ndarray) and column.values.ndim > 1 and column.values.dtype.kind in "fiub":
        yield str((column.values.dtype, column.values.shape[1:])).encode()
        yield column.values[column.index[column.present]]
        return
    for row in np.flatnonzero(column.present).tolist():
        yield _cell(column.kind, column[row])


def _cell(kind: str, cell: Any) -> bytes:
    if kind == "text":
        return decode.text(cell).encode("utf-8", "surrogatepass")
    if kind == "table":
        return repr({str(name): str(value) for name, value in cell.items()}).encode("utf-8", "surrogatepass")
    given = isinstance(cell, Mapping) and cell.get("bytes") is not None
    path = None if kind == "vector" or given else decode.path_of(cell)
    try:
        return content_key(kind, cell) if path is None else _ends(path)
    except DataError:  # training says so, or leaves it out
        return b"broken"


def _ends(path: str) -> bytes:
    """Of a file that cannot be read its name: what reads it whole refuses it in words."""
    if not os.path.isfile(path):
        return os.fsencode(path)
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(ENDS)
            file.seek(max(0, size - ENDS))
            return size.to_bytes(8, "little") + start + file.read(ENDS)
    except OSError:
        return os.fsencode(path)


def _digest(*parts: bytes | np.ndarray) -> str:
    """Of bytes and arrays of numbers, in their order; keeps their boundaries."""
    hashed = blake2b(digest_size=16)
    for part in parts:
        content = part if isinstance(part, bytes) else np.ascontiguousarray(part).reshape(-1).view(np.uint8).data
        hashed.update(len(content).to_bytes(8, "little"))
        hashed.update(content)
    return DIGEST + hashed.hexdigest()


def _text(description: Any) -> str:
    """A description as text; where an object has none of its own, without its place in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(description))
