"""The bench of a GPU, end to end on the CPU: the same figures and tables, at small sizes."""

import json

import pytest
import torch

from bouba.bench import gpu_contrast, info_nce
from bouba.errors import UsageError
from bouba.nn import gpu_tables, tile_torch


def test_measures_and_shows_every_size_and_term(monkeypatch):
    monkeypatch.setattr(gpu_tables, "is_gpu", lambda z: True)
    monkeypatch.setattr(gpu_tables, "tile_functions", lambda operands, device: tile_torch)
    figures = gpu_contrast.measure("cpu", 16, 1, sizes=(32, 64), rows_of_terms=48, rows_of_errors=40)
    figures = json.loads(json.dumps(figures))
    tables = info_nce.tables(figures)
    assert [line[:2] for line in tables["variants"].lines][:4] == [["32", name] for name in gpu_contrast.VARIANTS]
    assert len(tables["variants"].lines) == 8
    assert [line[0] for line in tables["terms"].lines] == list(gpu_contrast.TERMS)
    errors = figures["errors"]
    assert errors["bouba float32"]["gradient"] < 1e-4
    assert errors["bouba bfloat16"]["gradient"] < errors["naive bfloat16"]["gradient"]
    assert errors["bouba bfloat16"]["loss"] < errors["naive bfloat16"]["loss"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so():
    with pytest.raises(UsageError, match="no CUDA device"):
        gpu_contrast.measure("cuda", 16, 1)
