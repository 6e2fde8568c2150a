"""Gathering: the identity alone; over two processes with unequal rows, the gradient of one process."""

import os
import socket
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
from torch import nn

from bouba.batch import Batch
from bouba.nn.gather import gather, rank, world_size

SIZES = (2, 5)  # rows of each rank


def network():
    torch.manual_seed(0)
    return nn.ModuleDict({"a": nn.Linear(3, 2), "b": nn.Linear(3, 2)}).double()


class Objective(nn.Module):
    """A loss in which every row meets every other, with a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.towers = network()
        self.scale = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, batch):
        z = {name: tower(batch.inputs[name]["x"]) for name, tower in self.towers.items()}
        lacking = {n: torch.zeros_like(e).detach() for n, e in z.items() if not batch.present[n].any()}
        batch = gather(batch.replace(z=z | lacking))
        a, b = batch.z["a"], batch.z["b"]
        assert batch.present["b"].dtype == torch.bool
        b = b * batch.present["b"][:, None]
        together = a + b
        pulls = (a @ b.T * self.scale).logsumexp(1).mean()
        return pulls + together.square().sum(1).mul(batch.rows).mean() + batch.y["n"].double().mean() * 0


def made(rows):
    x = torch.randn(sum(SIZES), 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    has = torch.arange(sum(SIZES)) >= SIZES[0]
    return Batch(
        inputs={"a": {"x": x[rows, 0]}, "b": {"x": x[rows, 1]}},
        present={"a": torch.ones(len(rows), dtype=torch.bool), "b": has[rows]},
        rows=rows,
        y={"n": rows.float()},
        progress=0.25,
    )


def expected():
    objective = Objective()
    loss = objective(made(torch.arange(sum(SIZES))))
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in objective.named_parameters()}


def child(number, port, folder):
    """One of two processes; this file run as a script."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=number, world_size=2)
    start = sum(SIZES[:number])
    rows = torch.arange(start, start + SIZES[number])
    plain = gather(made(rows).replace(z={"a": rows[:, None].double()}))
    facts = (plain.rows.tolist(), plain.present["b"].tolist(), plain.progress, plain.inputs, rank(), world_size())
    leaves = {name: torch.ones(len(rows), 1, requires_grad=True) for name in "ab"}
    both = gather(made(rows).replace(z=leaves)).z
    (both["a"] + both["b"]).square().sum().backward()  # addition hands one gradient tensor to both views
    facts += tuple(leaf.grad.unique().tolist() for leaf in leaves.values())
    model = nn.parallel.DistributedDataParallel(Objective(), find_unused_parameters=True)
    loss = model(made(rows))
    loss.backward()
    gradients = {name: p.grad for name, p in model.module.named_parameters()}
    torch.save((loss.detach(), gradients, facts), f"{folder}/{number}.pt")
    dist.destroy_process_group()


def test_alone_it_is_the_batch_itself():
    batch = made(torch.arange(3))
    assert gather(batch) is batch
    assert (rank(), world_size()) == (0, 1)


@pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="needs gloo")
def test_two_unequal_processes_have_the_gradient_of_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, __file__]
    children = [subprocess.Popen([*command, str(n), str(port), str(tmp_path)], env=environment) for n in range(2)]
    try:
        assert [process.wait(timeout=60) for process in children] == [0, 0]
    finally:
        for process in children:
            process.kill()
    value, gradients = expected()
    for number in range(2):
        loss, found, facts = torch.load(tmp_path / f"{number}.pt")
        torch.testing.assert_close(loss, value)
        for name, gradient in gradients.items():
            torch.testing.assert_close(found[name], gradient, msg=lambda m, n=name: f"{n}: {m}")
        assert facts == (
            [0, 2, 1, 3, 4, 5, 6],  # row by row of the processes in turn, as a sampler hands them out
            [False, True, False, True, True, True, True],
            0.25,
            {},
            number,
            2,
            [8.0],
            [8.0],
        )  # 2 ranks * 2 (1 + 1)


if __name__ == "__main__":
    child(int(sys.argv[1]), *sys.argv[2:])
