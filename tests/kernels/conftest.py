"""The way of a GPU on the CPU: by plain torch always, by Triton's interpreter where TRITON_INTERPRET=1 is set."""

import importlib
import importlib.util
import os

import pytest

from bouba.nn import gpu_tables, tile_torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1" and importlib.util.find_spec("triton") is not None


@pytest.fixture(params=["torch", "triton"])
def as_on_gpu(request, monkeypatch):
    """Sums over pairs go the way of a GPU; which functions work on tiles."""
    tiles = tile_torch
    if request.param == "triton":
        if not INTERPRETED:
            pytest.skip("needs Triton and TRITON_INTERPRET=1: make test-kernels")
        tiles = importlib.import_module("bouba.nn.tile_triton")
    monkeypatch.setattr(gpu_tables, "is_gpu", lambda z: True)
    monkeypatch.setattr(gpu_tables, "tile_functions", lambda operands, device: tiles)
    return request.param
