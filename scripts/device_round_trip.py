"""A model saved on one device and loaded on another gives the same embeddings, and training on both ends alike.

python -m scripts.device_round_trip --device cuda --out FILE.json
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

import bouba
from bouba.data import samples

LARGEST = 1e-4
"""Difference of an embedding of length one, between devices."""


def round_trip(device: str) -> dict[str, float]:
    """Largest differences of embeddings: fitted there and loaded here, the other way round."""
    rows = samples.emoji()[np.arange(256)]
    differences = {}
    with tempfile.TemporaryDirectory() as folder:
        for fitted, loaded in ((device, "cpu"), ("cpu", device)):
            model = bouba.CLIP(epochs=2, dim=16, batch_size=64, device=fitted).fit(rows)
            model.save(Path(folder) / fitted.replace(":", "-"))
            again = bouba.load(Path(folder) / fitted.replace(":", "-"), device=loaded)
            ours, theirs = unit(model.embed(rows)), unit(again.embed(rows))
            differences[f"{fitted} to {loaded}"] = max(float(abs(ours[v] - theirs[v]).max()) for v in ours)
    return differences


def unit(z: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Embeddings of length one."""
    return {view: each / np.linalg.norm(each, axis=1, keepdims=True).clip(1e-9) for view, each in z.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    differences = round_trip(given.device)
    given.out.write_text(json.dumps({"differences": differences, "largest": LARGEST}))
    return 0 if all(difference < LARGEST for difference in differences.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
