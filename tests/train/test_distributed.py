"""Two processes train to the weights of one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from bouba import CLIP, MLP
from made import twin_vectors
towers = {{"left": MLP((8,), dropout=0.0), "right": MLP((8,), dropout=0.0)}}
model = CLIP(towers, epochs=3, dim=4, batch_size=61).fit(twin_vectors(150))
import torch.distributed as dist
if not dist.is_initialized() or dist.get_rank() == 0:
    model.save({out!r})
    from bouba.nn.gather import world_size
    assert world_size() == {processes}
"""


def train(tmp_path: Path, name: str, processes: int) -> dict[str, torch.Tensor]:
    script = tmp_path / f"{name}.py"
    script.write_text(
        SCRIPT.format(tests=str(Path(__file__).parents[1]), out=str(tmp_path / name), processes=processes)
    )
    launch = [sys.executable]
    if processes > 1:
        launch += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    ours = ("ACCELERATE_", "MASTER_", "RANK", "LOCAL_", "WORLD_SIZE")  # what other tests of this process left behind
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run([*launch, str(script)], capture_output=True, text=True, timeout=240, env=clean)
    assert done.returncode == 0, done.stderr[-3000:]
    return load_file(tmp_path / name / "model.safetensors")


def test_two_processes_equal_one(tmp_path):
    """An odd batch, so that the ranks hold unequal numbers of rows."""
    one, two = train(tmp_path, "one", 1), train(tmp_path, "two", 2)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=2e-5, rtol=1e-4, msg=lambda m, name=name: f"{name}: {m}")
    histories = [json.loads((tmp_path / name / "model.json").read_text())["history"] for name in ("one", "two")]
    for alone, shared in zip(*histories):
        assert abs(alone["loss"] - shared["loss"]) < 1e-4, "the gathered batch is the whole batch, each row once"
