"""The bench measures what it says, in small; and what it says is flat, is."""

import sys

import pytest

from bouba.bench import memory as bench


def test_command_measures_each_stage_alone(kept_by, tmp_path):
    figures = kept_by(bench, "--rows", 300, "--stage", "fit", "--pictures", 40, "--folder", tmp_path).measured
    stages = [(one["data"].split()[0], one["stage"], one["rows"]) for one in figures["stages"]]
    assert stages == [("captions", "fit", 300), ("pictures", "embed", 40)]
    assert all(0 < one["private_mb"] <= 1.05 * one["all_mb"] for one in figures["stages"])


@pytest.mark.skipif(sys.platform != "linux", reason="private memory is told by Linux alone")
def test_pixels_and_vectors_stay_on_disk(tmp_path):
    """A table whose vectors are above the size from which columns are mapped: they are not in private memory."""
    small, large = bench.write_captions(tmp_path, 1000), bench.write_captions(tmp_path, 150_000)
    private = [bench.measured("read", table)["private_mb"] for table in (small, large)]
    assert private[1] - private[0] < 60, "vectors are 77 MB, captions 8 MB"
