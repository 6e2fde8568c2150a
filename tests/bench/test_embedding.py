"""The bench measures what it says, in small."""

from bouba.bench import embedding as bench


def test_memory_and_cpu_of_the_command_are_measured(kept_by, monkeypatch):
    monkeypatch.setattr(bench, "FILE_ROWS", 100)
    figures = kept_by(bench, "--rows", 200, "--processes", 1).measured
    (lake,) = figures["lakes"]
    assert (lake["rows"], lake["processes"]) == (200, 1)
    assert 0 < lake["start_cpu_s"] < 2 * lake["cpu_s"]
    assert lake["peak_mb"] > 100
    assert bench.tables(figures)["embedding"].lines[0][0] == "200"
