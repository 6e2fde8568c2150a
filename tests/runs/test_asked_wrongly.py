"""What a run is asked for and has not, or cannot read, is an error that says so."""

import numpy as np
import pytest

from bouba import CCA, Run, Views
from bouba.errors import DataError, UsageError

random = np.random.default_rng(0)
TABLE = {"a": random.normal(size=(30, 3)), "b": random.normal(size=(30, 2))}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model folder by itself."""
    folder = tmp_path_factory.mktemp("models") / "cca"
    CCA(n_components=2).fit(Views(TABLE)).save(folder)
    return Run.open(folder)


def test_a_misspelt_role_is_not_read_over(model):
    with pytest.raises(DataError, match="no kind or role 'labl'; did you mean 'label'"):
        model.evaluate(TABLE, labl="kind")


def test_a_model_by_itself_promises_no_report_and_no_index(model):
    assert model.commands() == []
    with pytest.raises(UsageError, match="give the table too"):
        model.report(out=model.path / "page.html")


def test_columns_of_views_are_not_named_again(model, tmp_path):
    with pytest.raises(UsageError, match="Views were read already and take no label"):
        model.evaluate(Views(TABLE), label="a")
    with pytest.raises(UsageError, match="take no label"):
        Run.fit(Views(TABLE), out=tmp_path / "run", read={"label": "a"})
    assert len(model.read(Views(TABLE), strict=False)) == 30
