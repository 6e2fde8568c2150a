"""What scripts/check_gpu.sh runs: tests, `bouba bench info-nce`, `bouba bench throughput` and a model's way from one
device to another. Each part has its share of the time; what fails or is cut off says so in the JSON, and the rest runs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import bouba
from bouba import CLIP, Views
from bouba.bench.kept import Kept

HOME = Path(__file__).parents[1]
TESTS = ("tests/nn", "tests/terms", "tests/train", "tests/kernels", "tests/towers", "tests/test_learner.py")
QUICK_TESTS = ("tests/nn/test_parts.py", "tests/test_learner.py")
SECONDS = {"tests": 150, "info-nce": 60, "throughput": 120, "round trip": 30}
TOLERANCE = {"cpu": 0.0, "cuda": 0.02, "mps": 0.02}
"""Largest difference of embeddings of length one between a device and the CPU; towers run in bfloat16 on CUDA."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Tests and measurements of a GPU, in one JSON file.")
    parser.add_argument("out", nargs="?", type=Path, default=Path("gpu.json"), help="the JSON file")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, mps; cpu tries the script")
    parser.add_argument("--quick", action="store_true", help="few tests, small sizes")
    chosen = parser.parse_args(arguments)
    started = time.monotonic()
    report: dict[str, Any] = {
        "device": _name(chosen.device),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "bouba": bouba.__version__,
        "quick": chosen.quick,
    }
    small = ["--batch", "512", "--repeats", "1"] if chosen.quick else []
    rows = ["--rows", "300", "--epochs", "1", "--pictures", "0"] if chosen.quick else ["--pictures", "0", "--large"]
    parts = {
        "tests": lambda: _tests(QUICK_TESTS if chosen.quick else TESTS),
        "info-nce": lambda: _bench("info-nce", "--device", chosen.device, *small),
        "throughput": lambda: _bench("throughput", "--device", chosen.device, *rows),
        "round trip": lambda: _round_trip(chosen.device),
    }
    for name, part in parts.items():
        sys.stderr.write(f"{name}, {SECONDS[name]} s at most\n")
        began = time.monotonic()
        try:
            report[name] = part()
        except subprocess.TimeoutExpired:
            report[name] = {"failed": f"cut off after {SECONDS[name]} s"}
        except Exception as error:  # the other parts still tell something
            report[name] = {"failed": f"{type(error).__name__}: {error}"}
        report[name]["seconds"] = round(time.monotonic() - began, 1)
    report["seconds"] = round(time.monotonic() - started, 1)
    chosen.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    failed = [name for name in parts if "failed" in report[name]]
    sys.stderr.write(f"{chosen.out}: {report['seconds']} s, failed: {', '.join(failed) or 'nothing'}\n")
    return 1 if failed else 0


def _name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _tests(paths: Sequence[str]) -> dict[str, Any]:
    """How many passed, failed and were skipped, and the names of those that failed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tests.xml"
        workers = str(max(1, min(8, (os.cpu_count() or 2) // 2)))
        command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", workers, f"--junitxml={file}", *paths]
        _run(command, SECONDS["tests"], passes=False)
        cases = list(ET.parse(file).getroot().iter("testcase"))
    wrong = [f"{case.get('classname')}::{case.get('name')}" for case in cases if _has(case, "failure", "error")]
    skipped = sum(_has(case, "skipped") for case in cases)
    counts: dict[str, Any] = {"passed": len(cases) - len(wrong) - skipped, "skipped": skipped, "wrong": wrong}
    if wrong or not counts["passed"]:
        counts["failed"] = f"{len(wrong)} tests are wrong, {counts['passed']} passed"
    return counts


def _has(case: ET.Element, *kinds: str) -> bool:
    return any(case.find(kind) is not None for kind in kinds)


def _bench(name: str, *options: str) -> dict[str, Any]:
    """What a bench measured."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "measured.json"
        _run(["-m", "bouba", "bench", name, *options, "--out", str(file)], SECONDS[name])
        measured = Kept.read(file).measured
    assert isinstance(measured, dict), "these benches keep figures"
    return measured


def _run(command: Sequence[str], seconds: float, *, passes: bool = True) -> None:
    """A Python process; RuntimeError with its last words where it must pass and does not."""
    done = subprocess.run([sys.executable, *command], cwd=HOME, timeout=seconds, capture_output=True, text=True)
    if passes and done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])}: {done.stderr.strip()[-500:]}")


def _round_trip(device: str) -> dict[str, Any]:
    """A model trained on the device, saved, and loaded on the CPU: the largest difference of its embeddings."""
    left = np.random.default_rng(0).normal(size=(400, 16)).astype(np.float32)
    views = Views({"left": left, "right": left @ np.eye(16, 12, dtype=np.float32)})
    model = CLIP(epochs=2, device=device).fit(views)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        there, here = (bouba.load(Path(folder) / "model", device=name).embed(views) for name in (device, "cpu"))
    largest = max(float(np.abs(there[name] - here[name]).max()) for name in here)
    allowed = TOLERANCE[device.partition(":")[0]]
    result: dict[str, Any] = {"largest_difference": largest, "tolerance": allowed}
    return result | ({"failed": f"{largest:g} is more than {allowed:g}"} if largest > allowed else {})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
