"""Runs that change on disk while they are served."""

import csv
import shutil
import threading
import time

import pytest
from fastapi.testclient import TestClient
from page.collection import ROWS

from bouba import Run
from bouba.serve import opened as room
from bouba.serve.app import application
from bouba.serve.opened import opened_runs

pytestmark = pytest.mark.xdist_group("serve")
SEARCH = "/api/v1/search"
NEW = "a violet hexagon that nobody drew before"


@pytest.fixture
def folder(runs, tmp_path):
    """A copy of the run that searches."""
    return shutil.copytree(runs / "shapes", tmp_path / "shapes")


@pytest.fixture
def client(folder, monkeypatch):
    monkeypatch.setattr(room, "LOOKED_AFTER", 0.0)
    with TestClient(application(opened_runs([folder])), base_url="http://localhost") as client:
        yield client


def health(client):
    return client.get("/api/v1/health").json()["runs"]["shapes"]


def until(holds):
    """Wait while another question opens the run again: those that come meanwhile are answered by what was there."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def statuses(client):
    """Of questions that are asked all the while, until the test ends."""
    seen, done = [], threading.Event()

    def ask():
        while not done.is_set():
            for path in (f"{SEARCH}?q=red+{len(seen)}", "/api/v1/items/3", "/api/v1/facets", "/api/v1/run"):
                seen.append(client.get(path).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    yield seen
    done.set()
    asking.join()


def table_of(path, captions, kind="bar", price=1.0):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["caption", "kind", "price"], *([each, kind, price] for each in captions)])
    return path


def test_a_run_that_grows_is_searched_as_it_is_now(client, folder, statuses, tmp_path):
    assert health(client) == {"rows": ROWS, "version": 1}
    before = client.get(SEARCH, params={"q": NEW}).json()
    assert NEW not in {hit["title"] for hit in before["hits"]}
    done = Run.open(folder).add(table_of(tmp_path / "more.csv", [NEW]))
    assert done.added == 1
    until(lambda: health(client) == {"rows": ROWS + 1, "version": 2})
    after = client.get(SEARCH, params={"q": NEW}).json()  # the same question, which was remembered
    assert after["passing"] == ROWS + 1
    assert after["hits"][0]["title"] == NEW
    row = after["hits"][0]["row"]
    assert client.get(f"/api/v1/items/{row}").json()["item"]["columns"]["kind"] == "bar"
    Run.open(folder).add(remove=table_of(tmp_path / "gone.csv", [NEW]))
    until(lambda: health(client) == {"rows": ROWS, "version": 3})
    assert client.get(f"/api/v1/items/{row}").status_code == 404
    assert statuses
    assert set(statuses) == {200}


def test_a_run_that_is_fitted_again_is_served_anew(client, folder, statuses, runs, tmp_path):
    few = tmp_path / "few.csv"
    lines = (runs / "shapes.csv").read_text().splitlines()
    few.write_text("\n".join(line.replace("pictures/", f"{runs}/pictures/") for line in lines[:41]))
    read = {"image": "picture", "text": "caption"}
    Run.fit(few, method="cca", out=folder, read=read, towers="scratch", baseline=False, overwrite=True)
    until(lambda: health(client)["rows"] == 40)
    described = client.get("/api/v1/run").json()
    assert described["method"]["name"] == "cca"
    assert client.get(SEARCH, params={"q": "red"}).json()["passing"] == 40
    assert statuses
    assert set(statuses) == {200}


def test_a_run_that_is_gone_is_served_as_it_was_until_it_is_back(client, folder, tmp_path):
    assert client.get(SEARCH, params={"q": "red"}).status_code == 200
    away = folder.rename(tmp_path / "away")
    assert client.get(SEARCH, params={"q": "blue"}).status_code == 200
    assert health(client) == {"rows": ROWS, "version": 1}
    Run.open(away).add(table_of(tmp_path / "more.csv", [NEW]))
    away.rename(folder)
    assert health(client) == {"rows": ROWS + 1, "version": 2}


def test_a_run_is_looked_at_twice_a_second_at_most(folder, monkeypatch):
    opened, looks = opened_runs([folder])["shapes"], []
    monkeypatch.setattr(opened, "_now", lambda: looks.append(time.monotonic()) or opened._stamp)
    for _ in range(100):
        opened.run()
    assert len(looks) <= 1
