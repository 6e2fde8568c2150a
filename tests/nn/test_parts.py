"""A table made in parts: threads stand for processes, each with its part, and a barrier for what connects them."""

import threading
from dataclasses import dataclass, field

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bouba.nn import gpu_tables, off_diagonal
from bouba.nn.parts import Part, current_part, in_parts
from bouba.nn.tiles import walk
from bouba.terms import explicit_negatives, info_nce, mmd, nt_xent, sigmoid_pairs, supervised_contrastive, triplet
from bouba.terms.robust_info_nce import robust_info_nce
from bouba.terms.structure import structure

ROWS = 120
KEY = torch.arange(ROWS) // 3 - 4
LABEL = torch.arange(ROWS) % 5


@dataclass
class Processes:
    """What `dist.all_reduce` is to processes, for threads."""

    count: int
    tensors: dict = field(default_factory=dict)

    def __post_init__(self):
        self.barrier = threading.Barrier(self.count)

    def part(self, number):
        def all_reduce(tensor, operation):
            self.tensors[number] = tensor.clone()
            self.barrier.wait(timeout=60)
            every = torch.stack([self.tensors[n] for n in range(self.count)])
            tensor.copy_(every.sum(0) if operation == "sum" else every.amax(0))
            self.barrier.wait(timeout=60)

        return Part(number, self.count, all_reduce)

    def run(self, function):
        """What the function returns in each."""
        results, errors = {}, []

        def work(number):
            try:
                with in_parts(self.part(number)):
                    results[number] = function()
            except BaseException as error:
                errors.append(error)
                self.barrier.abort()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(self.count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors
        return [results[number] for number in range(self.count)]


LOSSES = {
    "info_nce": lambda a, b, t: info_nce(a, b, temperature=t, tile=16),
    "with keys and weights": lambda a, b, t: info_nce(a, b, temperature=t, key=KEY, weight=1 + a[:, 0] ** 2, tile=16),
    "euclidean": lambda a, b, t: info_nce(a, b, temperature=t, similarity="euclidean", tile=16),
    "one tile": lambda a, b, t: info_nce(a, b, temperature=t),
    "robust_info_nce": lambda a, b, t: robust_info_nce(a, b, tile=16),
    "nt_xent": lambda a, b, t: nt_xent(a, b, temperature=t, tile=16),
    "supervised_contrastive": lambda a, b, t: supervised_contrastive(a, LABEL, temperature=t, tile=16),
    "explicit_negatives": lambda a, b, t: explicit_negatives(
        a, b, a[:, None].roll(1, 0), temperature=t, in_batch=True, tile=16
    ),
    "sigmoid_pairs": lambda a, b, t: sigmoid_pairs(a, b, temperature=t, bias=t - 3, key=KEY, tile=16),
    "mmd": lambda a, b, t: mmd(a, b[: ROWS // 3], kernel="multi", tile=16),
    "hardest": lambda a, b, t: triplet(a, b, mining="hardest", tile=16),
    "semi-hard": lambda a, b, t: triplet(a, b, key=KEY, tile=16),
    "all hinges": lambda a, b, t: triplet(a, b, mining="all", tile=16),
    "structure": lambda a, b, t: structure(a, b),
}


class Products(TorchDispatchMode):
    """Counts the multiplications of matrix products."""

    operations = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        if name in ("mm", "addmm", "addmm_"):
            left, right = args[-2:]
            self.operations += left.shape[0] * left.shape[1] * right.shape[1]
        return operation(*args, **(kwargs or {}))


def measured(loss):
    """Value and gradients, and the multiplications of all matrix products, forward and backward."""
    draw = torch.Generator().manual_seed(0)
    leaves = [torch.randn(ROWS, 40, generator=draw, dtype=torch.float64).requires_grad_() for _ in "ab"]
    leaves.append(torch.tensor(0.3, dtype=torch.float64, requires_grad=True))
    with Products() as products:
        value = loss(*leaves)
        value.backward()
    gradients = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
    return value.detach(), gradients, products.operations


@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize("name", LOSSES)
def test_parts_make_the_whole_and_share_its_products(name, count, monkeypatch):
    """Values are equal everywhere; gradients add up to those of one process, times the number of processes."""
    monkeypatch.setattr(off_diagonal, "CACHED", 1000)
    value, gradients, operations = measured(LOSSES[name])
    everyone = Processes(count).run(lambda: measured(LOSSES[name]))
    for other, _, _ in everyone:
        torch.testing.assert_close(other, value, rtol=1e-12, atol=1e-12)
    for number, gradient in enumerate(gradients):
        mean = sum(parts[number] for _, parts, _ in everyone) / count
        torch.testing.assert_close(mean, gradient, rtol=1e-10, atol=1e-12)
    tile = 4 * 16 * 16 * 40  # its four products
    assert operations > 20 * tile
    assert max(parts for *_, parts in everyone) <= operations / count + tile


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in ("hardest", "semi-hard", "structure")])
def test_so_do_those_of_a_gpu(name, monkeypatch):
    monkeypatch.setattr(gpu_tables, "is_gpu", lambda z: True)
    monkeypatch.setattr(gpu_tables, "DENSE", 0)
    value, gradients, operations = measured(LOSSES[name])
    everyone = Processes(3).run(lambda: measured(LOSSES[name]))
    for other, _, _ in everyone:
        torch.testing.assert_close(other, value, rtol=1e-12, atol=1e-12)
    for number, gradient in enumerate(gradients):
        mean = sum(parts[number] for _, parts, _ in everyone) / 3
        torch.testing.assert_close(mean, gradient, rtol=1e-9, atol=1e-10)
    assert max(parts for *_, parts in everyone) <= operations / 3 + 4 * 16 * 16 * 40


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("rows", "tile", "seam"), [(1, (4, 4), 0), (23, (3, 5), 0), (24, (8, 16), 9), (24, (5, 5), 24)]
)
def test_every_pair_stands_in_one_tile_of_one_part(symmetric, count, rows, tile, seam):
    covered = torch.zeros(rows, rows, dtype=torch.int64)
    for number in range(count):
        for i, j in walk(rows, tile, Part(number, count), symmetric=symmetric, seam=seam):
            assert i.stop - i.start <= tile[0]
            assert j.stop - j.start <= (tile[0] if symmetric and i == j else tile[1])
            assert not any(s.start < seam < s.stop for s in (i, j))
            covered[i, j] += 1
            if symmetric and i != j:
                covered[j, i] += 1
    assert covered.eq(1).all()


@pytest.mark.parametrize("count", [2, 3, 8])
def test_parts_of_a_triangle_are_of_one_size(count):
    sizes = []
    for number in range(count):
        tiles = walk(960, (10, 10), Part(number, count), symmetric=True)
        sizes.append(sum((i.stop - i.start) * (j.stop - j.start) for i, j in tiles))
    assert max(sizes) < 1.05 * min(sizes)


def test_outside_a_table_is_made_whole():
    with in_parts(Part(1, 2)):
        assert current_part().count == 2
    assert current_part() == Part()
