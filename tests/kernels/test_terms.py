"""Terms on their way over a GPU: they wait for nothing, read bfloat16 under autocast, and launch little."""

import contextlib
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from bouba.nn import gpu_tables
from bouba.terms import explicit_negatives, info_nce, mmd, nt_xent, sigmoid_pairs
from bouba.terms.checks import trusted
from bouba.terms.fuse_mix import fuse_mix
from bouba.terms.robust_info_nce import robust_info_nce
from bouba.terms.rows import negatives, of_chance

LOSSES = {
    "info_nce": lambda a, b, t, key: info_nce(a, b, temperature=t),
    "key and weight": lambda a, b, t, key: info_nce(a, b, temperature=t, key=key, weight=a[:, 0] ** 2),
    "euclidean": lambda a, b, t, key: info_nce(a, b, temperature=t, similarity="euclidean"),
    "robust_info_nce": lambda a, b, t, key: robust_info_nce(a, b, key=key),
    "nt_xent": lambda a, b, t, key: nt_xent(a, b, temperature=t, key=key),
    "explicit_negatives": lambda a, b, t, key: explicit_negatives(a, b, a[:, None], temperature=t, in_batch=True),
    "sigmoid_pairs": lambda a, b, t, key: sigmoid_pairs(a, b, temperature=t, bias=t - 3, key=key),
    "fixed": lambda a, b, t, key: sigmoid_pairs(a, b, temperature=0.1, bias=-10.0),
    "fuse_mix": lambda a, b, t, key: fuse_mix(a, b, a[:, 0].sigmoid(), key.clamp(min=0), temperature=t),
    "mmd": lambda a, b, t, key: mmd(a, b, kernel="multi"),
    "two bandwidths": lambda a, b, t, key: mmd(a, b, kernel="multi", bandwidths=(1.0, 2.0)),
    "linear mmd": lambda a, b, t, key: mmd(a, b, kernel="linear"),
    "of_chance": lambda a, b, t, key: of_chance(a.sum(), [negatives(key, 70, a.device)])["of_chance"] * a.sum(),
}


def leaves(device="cpu", rows=70, width=8):
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.randn(rows, width, generator=draw) for _ in "ab")
    made = a, (0.3 * a + b), torch.tensor(0.2)
    return *(x.to(device).requires_grad_() for x in made), (torch.arange(rows) // 2 - 2).to(device)


@pytest.fixture
def meta(monkeypatch):
    """Tensors of this device have shapes and no numbers; autocast, which it does not have, is on."""
    monkeypatch.setattr(torch, "autocast", lambda *args, **options: contextlib.nullcontext())
    monkeypatch.setattr(torch.amp, "is_autocast_available", lambda kind: True)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: True)
    monkeypatch.setattr(torch, "get_autocast_dtype", lambda kind: torch.bfloat16)
    return "meta"


@pytest.mark.parametrize("as_on_gpu", ["torch"], indirect=True)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_nothing_is_looked_at(loss, as_on_gpu, meta):
    """To ask for a number, or for a shape that depends on one, is an error."""
    with trusted():
        loss(*leaves(meta)).backward()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_the_way_over_a_gpu_leads_to_the_same(loss, as_on_gpu, monkeypatch):
    *got, key = leaves()
    value = loss(*got, key)
    value.backward()
    monkeypatch.undo()
    *expected, key = leaves()
    on_cpu = loss(*expected, key)
    on_cpu.backward()
    torch.testing.assert_close(value, on_cpu, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(got, expected):
        if theirs.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=2e-5 * float(theirs.grad.abs().max()))


def naive(a, b):
    logits = 20 * a @ b.T
    labels = torch.arange(len(a), device=a.device)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def test_under_autocast_products_read_bfloat16_and_err_less_than_naive_ones(as_on_gpu, monkeypatch):
    read, product = set(), gpu_tables.product

    def watched(x, y):
        read.update((x.dtype, y.dtype))
        return product(x, y)

    monkeypatch.setattr(gpu_tables, "product", watched)
    a, b, *_ = leaves(width=64)
    sides = [F.normalize(x.detach(), dim=1) for x in (a, b)]

    def measured(function, sides):
        sides = [x.clone().requires_grad_() for x in sides]
        value = function(*sides)
        return value.item(), torch.cat(torch.autograd.grad(value, sides)).double()

    exact, exact_gradient = measured(naive, [x.double() for x in sides])
    with torch.autocast("cpu", torch.bfloat16):
        value, gradient = measured(lambda a, b: info_nce(a, b, temperature=0.05, similarity="dot"), sides)
        rough, rough_gradient = measured(naive, sides)
    assert read == {torch.bfloat16}
    assert abs(value - exact) < 1e-3 * exact
    assert abs(value - exact) < abs(rough - exact)
    error, of_naive = ((g - exact_gradient).norm() / exact_gradient.norm() for g in (gradient, rough_gradient))
    assert error < 0.01
    assert error < of_naive


def test_operands():
    half = torch.zeros(2, 2, dtype=torch.bfloat16)
    assert gpu_tables.operand_dtype(half, half) == torch.float32, "a CPU is slower at it"


@pytest.mark.parametrize("as_on_gpu", ["torch"], indirect=True)
def test_operands_on_a_gpu(as_on_gpu):
    half, single, double = (torch.zeros(2, 2, dtype=d) for d in (torch.bfloat16, torch.float32, torch.float64))
    assert gpu_tables.operand_dtype(half, half) == torch.bfloat16
    assert gpu_tables.operand_dtype(half, single) == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert gpu_tables.operand_dtype(single, single) == torch.bfloat16
        assert gpu_tables.operand_dtype(single, double) == torch.float64


VIEWS = (
    "view",
    "t",
    "detach",
    "expand",
    "reshape",
    "slice",
    "split",
    "select",
    "unsqueeze",
    "squeeze",
    "alias",
    "permute",
)
NO_KERNEL = ("promote_types", "empty", "new_empty", "empty_like", "empty_strided")


class Launches(TorchDispatchMode):
    """Counts operations that would start a kernel."""

    def __init__(self):
        super().__init__()
        self.count, self.names = 0, []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        if not name.startswith(("_unsafe", "_reshape")) and name not in VIEWS + NO_KERNEL:
            self.count += 1
            self.names.append(name)
        return operation(*args, **(kwargs or {}))


class FewTiles:
    """In place of tile functions: as many launches as those of Triton have, and no numbers."""

    launches = 0

    def add_sums(self, tile, scale, rows, columns):
        self.launches += 2

    def gradient(self, tile, scale, rows, columns, largest, dtype):
        self.launches += 1
        return tile.products.new_empty(tile.products.shape, dtype=dtype), None


def test_small_batches_start_few_kernels(meta, monkeypatch):
    """At 1,024 rows a GPU waits for launches, so their number stands for the time."""
    tiles = FewTiles()
    monkeypatch.setattr(gpu_tables, "is_gpu", lambda z: True)
    monkeypatch.setattr(gpu_tables, "tile_functions", lambda operands, device: tiles)
    names = {}

    def launches(function):
        sides = [torch.zeros(8, 4, device=meta, requires_grad=True) for _ in "ab"]
        with Launches() as counter, trusted():
            function(*sides).backward()
        names[function] = counter.names
        return counter.count

    ours = launches(lambda a, b: info_nce(a, b, temperature=0.05, similarity="dot")) + tiles.launches
    theirs = (
        launches(naive) + 8
    )  # casts of autocast: of both sides, of the logits twice, and of the gradients of all four
    assert ours <= 1.3 * theirs, names


def test_on_a_cpu_triton_stays_out():
    code = (
        "import sys, torch; from bouba.terms import info_nce; z = torch.randn(9, 3, requires_grad=True)\n"
        "info_nce(z, z + 1).backward(); assert 'triton' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
