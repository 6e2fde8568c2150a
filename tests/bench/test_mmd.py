"""The bench measures what it says, in small."""

import pytest
import torch

from bouba.bench import mmd as bench
from bouba.bench.fresh import peak_mb
from bouba.errors import UsageError


@pytest.mark.parametrize("kernel", ["rbf", "multi"])
@pytest.mark.parametrize("variant", ["whole matrix", "bouba"])
def test_all_compute_the_same(variant, kernel):
    assert bench.differs_by(variant, 5, kernel) < 1e-10


def test_a_wrong_variant_would_be_seen(monkeypatch):
    monkeypatch.setitem(bench.VARIANTS, "bouba", lambda a, b, kernel: bench.mmd(a, b, kernel=kernel, unbiased=False))
    assert bench.differs_by("bouba", 5, "rbf") > 1e-3


def test_whole_matrices_are_in_the_peak_and_tiles_are_not():
    size = {"rows": 2000, "dim": 8, "kernel": "rbf", "threads": 1}
    whole, tiled = (peak_mb("bouba.bench.mmd:hold", variant=variant, **size) for variant in ("whole matrix", "bouba"))
    assert whole - tiled > 2 * 4 * 2000**2 / 2**20  # three kernels are kept for the way back; three small tiles are not


def test_command_writes_every_variant_that_fits(kept_by, monkeypatch):
    monkeypatch.setitem(bench.MOST, ("double loop", "multi"), 10)
    monkeypatch.setattr(bench, "peak_mb", lambda *_, **__: 1.0)
    threads = torch.get_num_threads()
    figures = kept_by(bench, "--rows", 40, "--dim", 8, "--kernel", "multi", "--repeats", 1).measured
    torch.set_num_threads(threads)
    variants = figures["variants"]
    assert set(variants) == {"whole matrix", "bouba"}
    assert variants["whole matrix"]["ratio"] == 1
    assert variants["bouba"]["cpu_s"] > 0
    assert bench.tables(figures)["variants"].header[-1] == "off the double loop"


def test_refusal_of_a_kernel_without_bandwidth():
    with pytest.raises(UsageError, match="no kernel 'linear'; there is 'multi', 'rbf'"):
        bench.command(kernel="linear")
