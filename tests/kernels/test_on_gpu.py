"""The same on a GPU, where there is one: equal to a CPU's, in bfloat16 near it, and without a synchronisation."""

import pytest
import torch

from bouba.nn import gpu_tables
from bouba.nn.off_diagonal import off_diagonal_logsumexp
from bouba.terms.checks import trusted
from tests.kernels.test_tables import BF16, exact, logsumexps, problem, values_and_gradients
from tests.kernels.test_terms import LOSSES, leaves

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
TILES = ["torch", "triton"]


@pytest.fixture(params=TILES)
def tiles(request, monkeypatch):
    if request.param == "torch":
        monkeypatch.setattr(gpu_tables, "_has_triton", lambda: False)
    elif not gpu_tables._has_triton():
        pytest.skip("needs Triton")
    return request.param


def gradients(loss, device, rows):
    *inputs, key = leaves(device, rows)
    value = loss(*inputs, key)
    value.backward()
    return [value.detach().cpu(), *(x.grad.cpu() for x in inputs if x.grad is not None)]


@pytest.mark.parametrize("rows", [70, 2500])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_equal_to_a_cpu(loss, rows, tiles):
    if loss is LOSSES["of_chance"] and rows != 70:
        pytest.skip("it names 70 rows")
    for ours, theirs in zip(gradients(loss, "cuda", rows), gradients(loss, "cpu", rows), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()) + 1e-7)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_without_a_synchronisation(loss, tiles):
    *inputs, key = leaves("cuda")
    with trusted(), torch.autocast("cuda", torch.bfloat16):
        loss(*inputs, key).backward()  # compiles
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            loss(*inputs, key).backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(("rows", "tile"), [(150, None), (2500, None), (2500, 700)])
def test_bfloat16(rows, tile, tiles):
    on_cpu, outer = problem(rows, width=64)
    expected = values_and_gradients(logsumexps, exact(on_cpu, BF16), outer)
    inputs = [x.detach().cuda().requires_grad_() for x in on_cpu]
    options = {"floor": torch.zeros(rows, device="cuda"), "tile": tile, "operands": BF16}
    got = values_and_gradients(lambda *x: off_diagonal_logsumexp(*x, **options), inputs, outer.cuda())
    for ours, theirs in zip(got, expected):
        assert (ours.cpu().double() - theirs).norm() < 0.005 * theirs.norm()
