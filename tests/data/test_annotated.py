"""AnnData, MuData and their files: modalities as views, samples by name, sparse rows that stay sparse."""

import json
import pickle
import sys

import numpy as np
import pytest
from scipy import sparse

import bouba
from bouba.data import disk, scratch
from bouba.data.duplicates.find import duplicates
from bouba.data.formats import annotated
from bouba.data.mapped import MappedArray
from bouba.data.sparse import SparseRows
from bouba.errors import DataError, MissingExtraError

anndata = pytest.importorskip("anndata")
mudata = pytest.importorskip("mudata")
pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

N, GENES, PROTEINS = 40, 30, 5


@pytest.fixture(autouse=True)
def plain_text(tmp_path, monkeypatch):
    """anndata 0.12 writes no text of pandas 3's own type."""
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path / "cache"))
    with pd.option_context("future.infer_string", False):
        yield


def one(values, names, variables, **obs):
    return anndata.AnnData(values, obs=pd.DataFrame(obs, index=names), var=pd.DataFrame(index=variables))


def rna():
    random = np.random.default_rng(0)
    values = random.poisson(0.5, (N, GENES)).astype(np.float32)
    kind = pd.Categorical(np.where(np.arange(N) % 2, "B cell", "T cell"))
    data = one(
        sparse.csr_matrix(values), [f"cell {i}" for i in range(N)], [f"gene {i}" for i in range(GENES)], kind=kind
    )
    data.obsm["X_pca"] = random.normal(size=(N, 3))
    return data


def prot(rows=slice(33, 3, -1)):
    """30 of the cells in the reverse order."""
    values = np.random.default_rng(1).normal(size=(N, PROTEINS)).astype(np.float32)
    names = np.array([f"cell {i}" for i in range(N)], object)
    return one(values[rows], names[rows], [f"protein {i}" for i in range(PROTEINS)], depth=np.arange(N)[rows])


def both():
    found = mudata.MuData({"rna": rna(), "prot": prot()})
    found.obs["site"] = np.where(np.arange(N) < 20, "north", "south")
    return found


def dense(column):
    return np.stack([np.asarray(column[row]) for row in np.flatnonzero(column.present)])


def test_modalities_are_views_paired_by_the_names_of_samples():
    views = bouba.read(both(), label="rna:kind", domain="site", key="obs_names")
    assert views.modalities == {"rna": "vector", "prot": "vector"}
    assert views.present["rna"].all()
    assert np.flatnonzero(views.present["prot"]).tolist() == list(range(4, 34))
    assert np.array_equal(dense(views["rna"]), rna().X.toarray())
    assert np.array_equal(dense(views["prot"]), prot().X[::-1])
    assert views.sources["prot"] == tuple(f"protein {i}" for i in range(PROTEINS))
    assert (views.y["rna:kind"][:2].tolist(), views.domains) == (["T cell", "B cell"], ["north", "south"])
    assert views.things[3] == "cell 3"
    assert views.meta["prot:depth"][4] == 4
    assert list(views.row_names[:2]) == ["cell 0", "cell 1"]


@pytest.mark.parametrize("large", [False, True])
def test_a_file_says_what_memory_says(tmp_path, monkeypatch, large):
    if large:
        monkeypatch.setattr(scratch, "LARGE", 1)
    both().write(tmp_path / "x.h5mu")
    expected, views = bouba.read(both()), bouba.read(tmp_path / "x.h5mu")
    assert views.modalities == expected.modalities
    assert views.sources == expected.sources
    for name in views.columns:
        assert np.array_equal(views.present[name], expected.present[name])
        assert np.array_equal(dense(views[name]), dense(expected[name]))
    assert isinstance(views["rna"].values, SparseRows)


def test_a_large_dense_modality_is_mapped_and_found_again(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "LARGE", 1)
    whole = prot(slice(None))
    whole.write(tmp_path / "prot.h5ad")
    values = bouba.read(tmp_path / "prot.h5ad")["X"].values
    assert isinstance(values, MappedArray)
    assert len(pickle.dumps(values)) < 1000
    assert np.array_equal(values, whole.X)
    monkeypatch.setattr(disk, "_make", None)  # it is not made again
    assert np.array_equal(bouba.read(tmp_path / "prot.h5ad")["X"].values, whole.X)


def test_backed_objects_and_columns_by_type_and_by_name(tmp_path):
    data = rna()
    data.var["feature_types"] = ["Gene Expression"] * 20 + ["Antibody Capture"] * 10
    data.write(tmp_path / "x.h5ad")
    views = bouba.read(anndata.read_h5ad(tmp_path / "x.h5ad", backed="r"))
    assert {name: len(names) for name, names in views.sources.items()} == {"rna": 20, "prot": 10}
    named = bouba.read(data, vector=["X_pca", "prot"])
    assert set(named.columns) == {"X_pca", "prot"}
    assert np.array_equal(dense(named["X_pca"]), data.obsm["X_pca"])


def test_several_files_and_a_mapping_are_one_table(tmp_path):
    rna().write(tmp_path / "rna.h5ad")
    prot().write(tmp_path / "prot.h5ad")
    from bouba.runs.reading import read_table

    paths = [tmp_path / "rna.h5ad", tmp_path / "prot.h5ad"]
    for views in (read_table(paths, {}), bouba.read({"rna": rna(), "prot": prot()}), bouba.read(paths)):
        assert list(views.columns) == ["rna", "prot"]
        assert views.present["prot"].sum() == 30
        assert np.array_equal(dense(views["prot"]), prot().X[::-1])


def test_rows_of_nan_are_missing_and_a_nan_among_numbers_is_listed():
    data = prot(slice(None))
    data.X[3], data.X[5, 1] = np.nan, np.nan
    views = bouba.read({"rna": rna(), "prot": data})
    assert np.flatnonzero(~views.present["prot"]).tolist() == [3, 5]
    assert [bad["row"] for bad in views.bad_rows] == [5]
    broken = rna()
    broken.X.data[0] = np.nan
    assert not bouba.read({"rna": broken, "prot": data}).present["rna"][0]


def test_sparse_rows_reach_a_method_that_takes_them_as_they_are(monkeypatch):
    views = bouba.read(both())
    monkeypatch.setattr(SparseRows, "dense", None)
    monkeypatch.setattr(SparseRows, "__getitem__", lambda self, row: np.zeros(self.shape[1]))
    model = bouba.MatrixFreeCCA(2, ridge=0.3).fit(views)
    rows = slice(4, 34)
    arrays = {"rna": rna().X[rows], "prot": sparse.csr_matrix(prot().X[::-1])}
    again = bouba.MatrixFreeCCA(2, ridge=0.3).fit(arrays)
    assert np.allclose(model.correlations_, again.correlations_)
    assert np.allclose(model.transform(views[rows])["rna"].values, again.transform(arrays)["rna"], atol=1e-4)


def test_columns_of_later_samples_are_matched_by_name():
    model = bouba.CCA(2, ridge=0.5).fit(both())
    shuffled = mudata.MuData({"rna": rna()[:, ::-1].copy(), "prot": prot()[:, [2, 0, 1, 4, 3]].copy()})
    expected, found = model.transform(both()), model.transform(shuffled)
    for name in ("rna", "prot"):
        assert np.allclose(dense(found[name]), dense(expected[name]), atol=1e-6)
    with pytest.raises(DataError, match="no column 'gene 0', which the model was fitted on"):
        model.transform(mudata.MuData({"rna": rna()[:, 1:].copy()}))


def test_equal_sparse_rows_are_duplicates():
    data = rna()
    data = data[[*range(20), 3, 3]].copy()
    data.obs_names = [f"cell {i}" for i in range(22)]
    found = duplicates(bouba.read({"rna": data, "prot": prot()}).select("rna"))
    assert found.counts == {"rna": 3}


def test_law_sparse_rows_are_the_rows_of_their_matrix():
    matrix = sparse.random(12, 7, 0.4, format="coo", random_state=0, dtype=float)
    rows = SparseRows.of(matrix)
    full = matrix.toarray()
    assert np.array_equal(np.stack([rows[i] for i in range(12)]), full)
    at = np.array([5, 0, 3])
    placed = SparseRows.of(sparse.csr_matrix(full[:3])).placed(at, 6)
    expected = np.zeros((6, 7))
    expected[at] = full[:3]
    assert np.array_equal(placed.matrix.toarray(), expected)
    assert placed.present.tolist() == [True, False, False, True, False, True]
    assert np.array_equal(rows.ordered(np.array([3, 1])).matrix.toarray(), full[:, [3, 1]])
    assert np.array_equal(rows.dense(np.array([4, 2]), np.array([0, 2]), 3), np.stack([full[4], 0 * full[0], full[2]]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: {"a": one(np.eye(2), ["s", "s"], ["x", "y"]), "b": one(np.eye(2), ["s", "t"], ["x", "y"])},
            "sample 's'",
        ),
        (lambda: one(np.eye(2), ["s", "t"], ["x", "x"]), "named 'x'; rename one, or call var_names_make_unique"),
        (lambda: mudata.MuData({"a": prot(), "b": prot()}, axis=1), "shares variables, not samples"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_refusals(make, message):
    with pytest.raises(DataError, match=message):
        bouba.read(make())


def test_refusal_of_a_file_that_is_none_and_of_one_that_is_not_there(tmp_path):
    for name in ("x.h5mu", "x.h5ad"):
        (tmp_path / name).write_text("no such thing")
        with pytest.raises(DataError, match=f"{name} is not a file that (anndata|mudata) reads"):
            bouba.read(tmp_path / name)
    with pytest.raises(DataError, match="no such file or folder"):
        bouba.read([tmp_path / "x.h5ad", tmp_path / "gone.h5ad"])


@pytest.mark.parametrize(("name", "module"), [("x.h5mu", "mudata"), ("x.h5ad", "anndata")])
def test_refusal_without_the_extra(tmp_path, monkeypatch, name, module):
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingExtraError, match=rf"{module} is not installed; it comes with: pip install 'bouba\[omics\]'"
    ):
        bouba.read(tmp_path / name)


def test_what_is_not_annotated():
    assert not annotated.is_annotated({})
    assert not annotated.is_annotated({"a": np.eye(2)})
    assert not annotated.is_annotated(np.eye(2))
    assert not annotated.are_files(["a.h5ad"])


def test_the_command_line_inspects_and_fits(tmp_path, monkeypatch, capsys):
    from bouba.cli import main

    both().write(tmp_path / "x.h5mu")
    monkeypatch.chdir(tmp_path)
    for line in (
        "bouba inspect x.h5mu --json",
        "bouba fit x.h5mu --method cca --ridge 0.5 --label rna:kind --domain site -o run --json",
    ):
        monkeypatch.setattr(sys, "argv", line.split())
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
    facts = json.loads(capsys.readouterr().out.split("\n}\n")[0] + "\n}")
    assert {name: (view["present"], view["missing"]) for name, view in facts["views"].items()} == {
        "rna": (40, 0),
        "prot": (30, 10),
    }
    run = bouba.Run.open(tmp_path / "run")
    assert run.model.schema_.columns["prot"][0] == "protein 0"
