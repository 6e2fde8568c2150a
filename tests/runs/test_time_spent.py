"""Where the time of a run went: counted by stage, kept, and told on its page."""

import json
import re

import numpy as np

from bouba import Run, Views
from bouba.runs.stages import TIME, Clock, time_spent


def test_stages_add_up_and_small_ones_count_in_the_sum():
    times = iter([0.0, 0.2, 41.5, 44.6, 50.0])
    clock = Clock(lambda: next(times))
    for stage in ("read", "train", "index", "train"):
        clock(stage)
    assert clock.spent == {"read": 0.2, "train": 41.3 + 50.0 - 44.6, "index": 44.6 - 41.5}
    assert time_spent(clock.spent) == "50 s: train 47 s, index 3 s"
    assert time_spent({"read": 0.1}) == "0 s"


def test_a_run_keeps_and_tells_where_its_time_went(tmp_path):
    random = np.random.default_rng(0)
    shared = random.normal(size=(60, 3))
    table = Views({"a": shared + random.normal(size=(60, 3)), "b": shared @ random.normal(size=(3, 4))})
    run = Run.fit(table, method="cca", out=tmp_path / "run")
    spent = json.loads((run.path / "report.json").read_text())["seconds"]
    assert set(spent) >= {"read", "hold out", "train", "measure", "index"}
    assert all(seconds >= 0 for seconds in spent.values())
    said = re.search(rf"{TIME}</dt>\s*<dd[^>]*>([^<]+)<", run.report().read_text(encoding="utf-8"))
    assert said is not None
    assert said[1] == time_spent(spent)
    again = run.report(out=tmp_path / "again.html").read_text(encoding="utf-8")
    assert said[1] in again  # the time of the run, not of the page
