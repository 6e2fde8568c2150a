"""What scripts/check_gpu.sh found, as one JSON file.

python -m scripts.gather_checks FOLDER --device cuda --out FILE.json
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from xml.etree import ElementTree

import torch

EMOJI, BARE = 0.25 / 3, 0.9
"""Seconds of an emoji epoch at batch 1,024, at most; share of the bare step's rate, at least."""


def gathered(folder: Path, device: str) -> dict:
    """Steps with their exit status and seconds, tests by outcome, what benches measured, and whether bars are met."""
    found: dict = {"device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device}
    found["torch"] = torch.__version__
    found["steps"] = {}
    for file in sorted(folder.glob("*.end")):
        status, seconds = map(int, file.read_text().split())
        found["steps"][file.stem] = {"exit": status, "seconds": seconds}
        if status:
            found["steps"][file.stem]["said"] = (folder / f"{file.stem}.txt").read_text(errors="replace")[-2000:]
    if (folder / "tests.xml").exists():
        suite = next(ElementTree.parse(folder / "tests.xml").getroot().iter("testsuite"))
        found["tests"] = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    for name in ("device", "throughput", "info_nce"):
        if (folder / f"{name}.json").exists():
            measured = json.loads((folder / f"{name}.json").read_text())
            found[name] = measured.get("figures", measured)
    found["bars"] = bars(found.get("throughput", {}))
    return found


def bars(throughput: dict) -> dict[str, bool]:
    """Bar -> whether it is met, of those that were measured on a GPU."""
    met = {}
    emoji = throughput.get("ConvNet and NGrams")
    if emoji and throughput["device"] != "cpu":
        met["emoji epoch at most a third of .25 s"] = statistics.median(emoji["fit"]) <= EMOJI
    if "large" in throughput and throughput["device"] != "cpu":
        fit, bare = (statistics.median(throughput["large"][way]) for way in ("fit", "bare"))
        met["ResNet-50 and BERT from files at least 90% of the bare step"] = fit >= BARE * bare
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found = gathered(given.folder, given.device)
    given.out.write_text(json.dumps(found, indent=1) + "\n")
    failed = [name for name, step in found["steps"].items() if step["exit"]]
    missed = [bar for bar, is_met in found["bars"].items() if not is_met]
    print(f"{given.out}: failed: {', '.join(failed) or 'none'}; missed: {', '.join(missed) or 'none'}")  # noqa: T201
    return 1 if failed or missed else 0


if __name__ == "__main__":
    sys.exit(main())
