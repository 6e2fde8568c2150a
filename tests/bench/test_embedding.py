"""The bench measures what it says, in small."""

from bouba.bench import embedding as bench


def test_memory_and_cpu_of_the_command_are_measured(kept_by, monkeypatch):
    monkeypatch.setattr(bench, "FILE_ROWS", 100)
    figures = kept_by(bench, "--rows", 100, "--rows", 400, "--processes", 1).measured
    few, many = figures["lakes"][0], figures["lakes"][-1]
    assert (few["rows"], many["rows"]) == (100, 400)
    assert figures["start_cpu_s"] > 0
    assert many["peak_mb"] < 1.3 * few["peak_mb"]
    assert "4 times the rows take" in bench.tables(figures)["embedding"].note
