"""A run on a stand-in of the hub, by the hub's own client: pushed, opened again, searched; and its card."""

import json
import subprocess
import sys

import numpy as np
import pytest
from made import write_things
from made_hub import Hub

from bouba import ConvNet, NGrams, Run
from bouba.errors import DataError, StorageError, UsageError

hub_client = pytest.importorskip("huggingface_hub")
pytest.importorskip("lancedb")
pytest.importorskip("plotly")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub on this machine, a cache of one's own, and a token that may do all."""
    made = Hub()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", made.url)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", made.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", made.url, raising=False)
    monkeypatch.setenv("HF_TOKEN", "good")
    yield made
    made.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run of pictures and captions."""
    folder = tmp_path_factory.mktemp("things")
    towers = {"photo": ConvNet(size=16, channels=4), "caption": NGrams(width=16)}
    read = {"label": "label", "domain": "domain"}
    return Run.fit(
        write_things(folder), method="clip", out=folder / "run", epochs=2, dim=8, holdout=0.3, towers=towers, read=read
    )


def test_what_is_pushed_is_opened_again_and_gives_the_same(hub, run):
    said = []
    pushed = run.push("me/things", say=said.append)
    assert pushed.address == "hf://me/things"
    assert pushed.url == f"{hub.url}/me/things"
    assert set(hub.files("me/things")) >= {
        "model/model.json",
        "model/model.safetensors",
        "metrics.json",
        "README.md",
        "report.html",
    }
    again = Run.open("hf://me/things")
    rows = run.read({"caption": ["a red circle", "a bar"]})
    np.testing.assert_array_equal(again.model.embed(rows)["caption"], run.model.embed(rows)["caption"])
    assert again.result.records == run.result.records
    assert again.schema == run.schema
    assert any("report.html shows pictures and captions" in line for line in said)


def test_private_things_stay_here_unless_they_are_asked_for(hub, run):
    pushed = run.push("me/things", report=False)
    there = hub.files("me/things")
    assert "report.html" not in there
    assert not [path for path in there if path.startswith(("index", "known", "words", "duplicates", "bad_rows"))]
    assert any("the index stays here" in line for line in pushed.remarks)
    assert "table" in run.facts
    everything = b"".join(there.values())
    for secret in (str(run.path.parent).encode(), b"a yellow square"):
        assert secret not in everything
    with pytest.raises(UsageError, match="index"):
        Run.open("hf://me/things").search("red", k=1)


def test_with_its_index_a_run_is_searched_from_the_hub(hub, run):
    run.push("me/things", index=True)
    again = Run.open("hf://me/things@main")
    assert [hit.row for hit in again.search("a red circle", k=5)] == [
        hit.row for hit in run.search("a red circle", k=5)
    ]
    environment = {
        "PYTHONPATH": ":".join(sys.path),
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": "good",
        "PATH": "/usr/bin:/bin",
    }
    environment |= {"HF_HOME": str(again.path.parents[4] / "other"), "HOME": str(again.path.parents[4])}
    words = ["search", "hf://me/things", "a red circle", "-k", "5", "--json"]
    ran = subprocess.run(
        [sys.executable, "-m", "bouba", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert [hit["row"] for hit in json.loads(ran.stdout)] == [hit.row for hit in run.search("a red circle", k=5)]


def test_a_branch_of_its_own(hub, run):
    run.push("me/things", revision="second", private=True)
    assert not hub.files("me/things")
    assert hub.repos["me/things"]["private"]
    assert Run.open("hf://me/things@second").recipe == run.recipe
    with pytest.raises(UsageError, match="has no revision 'third'; leave it out"):
        Run.open("hf://me/things@third")


def test_a_dry_run_sends_nothing(hub, run):
    pushed = run.push("me/things", dry_run=True)
    assert "README.md" in pushed.files
    assert not hub.requests


@pytest.mark.parametrize("name", ["things", "me/things/more", "", "m e/x"])
def test_names_that_are_none(hub, run, name):
    with pytest.raises(UsageError, match="a run on the hub is hf://USER/NAME"):
        run.push(name)
    with pytest.raises(UsageError, match="a run on the hub is hf://USER/NAME"):
        Run.open(f"hf://{name}")


def test_what_is_not_there_is_private_or_is_no_run_is_a_line(hub, run, monkeypatch):
    with pytest.raises(UsageError, match=r"there is no hf://me/nowhere, or it is private .* hf auth login"):
        Run.open("hf://me/nowhere")
    run.push("me/things", private=True)
    hub.repos["me/empty"] = {
        "private": False,
        "branches": {"main": {"README.md": b"#", "evil.py": b"1/0", "model/x.pkl": b""}},
    }
    with pytest.raises(DataError, match="holds no run of bouba's; one is put there by: bouba push RUN me/empty"):
        Run.open("hf://me/empty")
    assert not [path for _, path in hub.requests if path.endswith(("evil.py", "x.pkl"))]
    monkeypatch.setenv("HF_TOKEN", "secret-and-bad")
    with pytest.raises(UsageError, match="or it is private and you are not logged in") as refused:
        Run.open("hf://me/things")
    assert "secret-and-bad" not in str(refused.value)
    with pytest.raises(UsageError, match=r"does not let you at hf://me/other \(HTTP 401\)"):
        run.push("me/other")


def test_without_network_or_the_extra(hub, run, monkeypatch):
    hub.close()
    with pytest.raises(StorageError, match="the hub cannot be reached for hf://me/things"):
        Run.open("hf://me/things")
    with pytest.raises(StorageError, match="the hub cannot be reached for hf://me/things"):
        run.push("me/things")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for attempt in (lambda: Run.open("hf://me/things"), lambda: run.push("me/things"), run.card):
        with pytest.raises(ImportError, match=r"pip install 'bouba\[hub\]'"):
            attempt()


def test_a_card_is_read_by_the_hub_and_its_code_runs(run, tmp_path):
    file = tmp_path / "README.md"
    file.write_text(run.card(license="apache-2.0", datasets=["me/data"]))
    card = hub_client.ModelCard.load(file)
    assert card.data.library_name == "bouba"
    assert (card.data.license, card.data.datasets) == ("apache-2.0", ["me/data"])
    assert set(card.data.tags) >= {"bouba", "clip", "multimodal", "image", "text"}
    numbers = {(r.dataset_config, r.task_name, r.metric_type): r.metric_value for r in card.data.eval_results}
    for record in run.numbers():
        if record.method == run.name:
            task = (f"{record.domain}, {record.direction}", record.direction, record.metric)
            assert numbers[task] == pytest.approx(record.value, abs=1e-6)
    code = card.text.split("```python\n")[1].split("```")[0]
    ran = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "(1, 8)"
    assert "| task | measure | value [95% interval] | chance | best baseline | rows |" in card.text
    assert "torch" in card.text.split("## Made with")[1]


def test_names_in_a_card_are_text(run):

    from bouba.runs.card import _cell

    assert _cell("a|b<script>`x`") == "a\\|b\\<script\\>\\`x\\`"
