"""A run adapted to new rows: from Python and the command line, what it holds, refusals."""

import json

import numpy as np
import pytest

from bouba import Run
from bouba.data.views import Views
from bouba.errors import UsageError


def place(moved, seed, n=200):
    random = np.random.default_rng(seed)
    code = random.integers(0, 3, n)
    frame, turn = (np.random.default_rng(s).normal(size=(3, 6)) for s in (0, 1))
    x = 2 * np.eye(3)[code] @ (frame + moved * turn) + 0.6 * random.normal(size=(n, 6)) + 3 * moved
    return x, np.array(["ant", "bee", "cat"], dtype=object)[code]


def table(path, x, y=None):
    names = ["a", "b", "c", "d", "e", "f", *(["kind"] if y is not None else [])]
    rows = [[f"{v:.4f}" for v in row] + ([] if y is None else [y[i]]) for i, row in enumerate(x)]
    path.write_text("\n".join(",".join(cells) for cells in [names, *rows]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapting")
    read = {"vector": ["a", "b", "c", "d", "e", "f"], "label": "kind"}
    return Run.fit(
        table(folder / "old.csv", *place(0, 1)),
        out=folder / "run",
        method="classifier",
        read=read,
        towers="scratch",
        epochs=6,
        dim=16,
        baseline=False,
        allow_duplicates=True,
    )


def test_the_new_run_is_better_on_the_new_rows_and_finds_them(run, tmp_path):
    x, y = place(0.6, 2)
    adapted = run.adapt(table(tmp_path / "new.csv", x), out=tmp_path / "run2", epochs=8)
    new = Run.open(tmp_path / "run2")
    truth = Views({"numbers": x}, y={"kind": y})
    before, after = (np.mean(each.model.predict(truth) == y) for each in (run, new))
    assert after > before + 0.05
    assert adapted.told["kind"][1] > adapted.told["kind"][0]
    assert new.facts["adapted"]["from"] == str(run.path)
    assert len(new.history) == 8
    assert adapted.lines()[0] == "adapted to 200 rows without labels"
    assert [record["row"] for record in new.predict(tmp_path / "new.csv")][:2] == [0, 1]


def test_the_command(run, tmp_path):
    from typer.testing import CliRunner

    from bouba.cli import _app

    file = table(tmp_path / "new.csv", place(0.6, 2)[0])
    out = tmp_path / "run3"
    arguments = ["adapt", str(run.path), str(file), "-o", str(out), "--epochs", "2", "--json"]
    result = CliRunner().invoke(_app("adapt"), arguments)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["rows"], facts["run"]) == (200, str(out))
    assert set(facts["told"]) == {"kind"}


def test_refusals(run, tmp_path):
    file = table(tmp_path / "new.csv", place(0.6, 2)[0])
    with pytest.raises(UsageError, match="is the run that is adapted; choose another -o"):
        run.adapt(file, out=run.path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("x")
    with pytest.raises(UsageError, match="exists; it is no run of bouba's"):
        run.adapt(file, out=tmp_path / "taken")
