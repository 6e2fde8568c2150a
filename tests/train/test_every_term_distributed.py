"""Two processes draw and compute what one does, for every term, with dropout, noise and views that are dropped."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bouba import ConcatFusion, Learner, Views
from bouba.data.loader import Rows
from bouba.learner.teachers import readers_of
from bouba.learner.training_data import TrainingData
from bouba.nn.gather import rank, world_size
from bouba.terms.prediction import Prediction
from bouba.terms.term import Objective
from bouba.train import accelerator

sys.path.insert(0, str(Path(__file__).parents[1] / "terms"))
from test_contracts import TERMS

BATCHES = (range(21), range(20, 25))  # odd; no row of the second process with a view


def rows():
    """25 rows with three views, some missing, labels, domains and keys."""
    random = np.random.default_rng(0)
    views = {name: random.normal(size=(25, width)) for name, width in {"a": 3, "b": 5, "c": 4}.items()}
    has = {name: random.random(25) < 0.8 for name in views}
    has["a"][[21, 23]], has["c"][:] = False, True
    columns = Views(views).columns
    return Views(
        {name: column.without(~has[name]) for name, column in columns.items()},
        y={"kind": np.array(["x", "y", "z"], object)[random.integers(0, 3, 25)], "size": random.normal(size=25)},
        domain=np.array(["p", "q"], object)[np.arange(25) % 2],
        key=np.array([f"k{number // 2}" for number in range(25)], object),
    )


def measured(term):
    """Losses and gradients of a network with this term, in training, of each batch."""
    torch.manual_seed(0)
    objective = Objective.of(term)
    if objective.needs().predictions:
        objective += Prediction(("kind",))
    needs = objective.needs()
    fusion = ConcatFusion(drop=0.4, hidden=8) if needs.fused else None
    views = rows()
    for teacher in needs.teachers:
        taught = Views({teacher: np.random.default_rng(1).normal(size=(25, 6))}).columns
        views = views.replace(columns={**views.columns, **taught})
    model = Learner(objective=objective, fusion=fusion, dim=4)
    model._build(TrainingData(views).views)
    module = model.module_
    fabric = accelerator()
    network = fabric.prepare(module)
    network.train()
    prepared, results = Rows(views, model._encoders() | readers_of(objective), model.codes_), {}
    for number, batch in enumerate(BATCHES):
        mine = torch.tensor(list(batch), dtype=torch.int64)[rank() :: world_size()]
        loss, parts = network(prepared.batch(mine).replace(progress=0.5))
        module.zero_grad()
        fabric.backward(loss)
        results[f"{number} loss"] = loss.detach()
        results |= {f"{number} {name}": torch.as_tensor(float(part)) for name, part in parts.items()}
        gradients = {n: p.grad for n, p in module.named_parameters() if p.grad is not None}
        results |= {f"{number} gradient of {name}": gradient.clone() for name, gradient in gradients.items()}
    return results


def measure_all(out):
    for number, term in enumerate(TERMS):
        results = measured(term)
        if rank() == 0:
            save_file(results, out / f"{number}.safetensors")


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    """What two processes measure, of all terms."""
    out = tmp_path_factory.mktemp("two")
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
    code = f"import sys; sys.path[:0] = {paths!r}\nfrom pathlib import Path\n"
    code += f"import test_every_term_distributed as t\nt.measure_all(Path({str(out)!r}))\n"
    (out / "script.py").write_text(code)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", out / "script.py"]
    ours = ("ACCELERATE_", "MASTER_", "RANK", "LOCAL_", "WORLD_SIZE")  # what other tests of this process left behind
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(launch, capture_output=True, text=True, timeout=300, env=clean)
    assert done.returncode == 0, done.stderr[-6000:]
    return out


@pytest.mark.parametrize("number", range(len(TERMS)), ids=[repr(term) for term in TERMS])
def test_two_processes_draw_and_compute_what_one_does(number, of_two):
    two, one = load_file(of_two / f"{number}.safetensors"), measured(TERMS[number])
    for name, value in one.items():
        other = two.get(name, torch.zeros_like(value))
        scale = float(value.abs().max())
        torch.testing.assert_close(
            other, value, atol=1e-6 * max(scale, 1.0), rtol=5e-6, msg=lambda m, n=name: f"{n}: {m}"
        )
