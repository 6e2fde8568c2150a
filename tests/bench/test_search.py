"""The bench measures what it says, in small."""

from bouba.bench import search as bench


def test_searches_find_all_and_codes_find_the_same(kept_by, monkeypatch):
    def called_here(function, **arguments):
        getattr(bench, function.partition(":")[2])(**arguments)
        return 100.0

    monkeypatch.setattr(bench, "peak_mb", called_here)
    options = ("--cells", 30_000, "--dim", 160, "--repeats", 3, "--queries", 8, "--clusters", 200)
    figures = kept_by(bench, *options).measured
    searches = figures["sizes"]["30000"]["searches"]
    assert {row["recall"] for row in searches.values()} == {1.0}
    assert searches.keys() == bench.WHAT.keys()
    assert searches["lancedb"]["ratio"] > 2 * searches["exact"]["ratio"]
    assert figures["approximate"]["measured"] >= 0.95
    assert figures["approximate"]["recall"] >= 0.9
    line = bench.tables(figures)["exact"].lines[0]
    assert line[:2] == ["30,000", "exact, as it is by default with torch loaded"]
