"""A run whose pictures break while it trains lists them with those that could not be read."""

import json

import numpy as np
from PIL import Image

from bouba.runs import Run


def test_a_run_lists_what_broke_since_it_was_read(tmp_path):
    random = np.random.default_rng(0)
    lines = ["photo,caption"]
    for i in range(24):
        file = tmp_path / f"{i}.png"
        Image.fromarray(random.integers(0, 255, (12, 12, 3), np.uint8)).save(file)
        lines.append(f"{i}.png,number {i} of the things")
    content = bytearray((tmp_path / "5.png").read_bytes())
    content[80:140] = bytes(60)  # its header and its end are whole
    (tmp_path / "5.png").write_bytes(content)
    (tmp_path / "9.png").write_text("this is no picture")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    run = Run.fit(tmp_path / "t.csv", method="cca", out=tmp_path / "run", dim=2, ridge=0.1, baseline=False)
    written = [json.loads(line) for line in (run.path / "bad_rows.jsonl").read_text().splitlines()]
    assert [(bad["row"], bad["column"]) for bad in written] == [(5, "photo"), (9, "photo")]
