"""A run of sounds and numbers, served."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from bouba import Run
from bouba.serve.app import application
from bouba.serve.opened import opened_runs

pytestmark = pytest.mark.xdist_group("serve")
RATE, ROWS = 8000, 40


def wave_of(row):
    """A tone, higher with each of four notes."""
    return 0.3 * np.sin(2 * np.pi * 300 * (1 + row % 4) * np.arange(RATE // 5) / RATE + row)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    with (folder / "notes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sound", "note", "height"])
        for row in range(ROWS):
            soundfile.write(folder / f"{row}.wav", wave_of(row), RATE)
            writer.writerow([f"{row}.wav", f"note {'abcd'[row % 4]}", row % 4 + row / 100])
    read = {"audio": "sound", "text": "note", "vector": ["height"]}
    Run.fit(folder / "notes.csv", method="cca", out=folder / "run", read=read, towers="scratch", baseline=False)
    with TestClient(application(opened_runs([folder / "run"])), base_url="http://localhost") as client:
        yield client


def test_a_sound_is_sent_whole_and_in_parts(client):
    item = client.get("/api/v1/items/6").json()["item"]
    sound = item["views"]["sound"]
    assert sound["kind"] == "audio"
    assert "thumbnail" not in sound
    whole = client.get(sound["media"])
    assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/wav")
    heard, rate = soundfile.read(io.BytesIO(whole.content))
    assert rate == RATE
    assert heard == pytest.approx(wave_of(6), abs=1e-4)
    part = client.get(sound["media"], headers={"range": "bytes=44-143"})
    assert (part.status_code, part.headers["content-range"]) == (206, f"bytes 44-143/{len(whole.content)}")
    assert part.content == whole.content[44:144]
    assert client.get(sound["media"], headers={"range": "bytes=999999999-"}).status_code == 416


def test_a_sound_finds_and_is_embedded(client):
    out = io.BytesIO()
    soundfile.write(out, wave_of(2), RATE, format="WAV")
    query = {"parts": [{"file": "f0"}], "k": 5}
    answer = client.post("/api/v1/search", data={"query": json.dumps(query)}, files={"f0": ("s", out.getvalue())})
    assert answer.status_code == 200, answer.text
    assert answer.json()["hits"][0]["row"] % 4 == 2
    cells = json.dumps({"sound": {"file": "f0"}})
    answer = client.post("/api/v1/embed", data={"cells": cells}, files={"f0": ("s", out.getvalue())}).json()
    assert len(answer["vectors"]["sound"]) == answer["dim"]
    assert client.post("/api/v1/embed", files={"cells": (None, '{"sound": "words"}')}).status_code == 400


def test_numbers_are_shown_by_the_names_of_their_columns(client):
    item = client.get("/api/v1/items/6").json()["item"]
    assert item["columns"]["height"] == pytest.approx(2.06)


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    """Of a run that makes three numbers of two."""
    folder = tmp_path_factory.mktemp("made")
    random = np.random.default_rng(0)
    with (folder / "numbers.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a1", "a2", "b1", "b2", "b3"])
        for a in random.normal(size=(80, 2)):
            writer.writerow([*a, a.sum() + 5, a[0] - a[1], 2 * a[1]])
    Run.fit(
        folder / "numbers.csv",
        method="flow",
        out=folder / "run",
        read={"vector": ["a*", "b*"]},
        translate=("a", "b"),
        epochs=40,
        towers="scratch",
        baseline=False,
        random_state=0,
    )
    shutil.copytree(folder / "run", folder / "bare")
    shutil.rmtree(folder / "bare" / "index")
    with TestClient(application(opened_runs([folder / "run", folder / "bare"])), base_url="http://localhost") as client:
        yield client


def test_a_view_is_made_of_another(translator):
    abilities = translator.get("/api/v1/run").json()["abilities"]
    assert abilities["translate"]
    assert not abilities["predict"]
    made = [
        translator.post("/api/v1/translate", files={"cells": (None, json.dumps({"a": cell}))})
        for cell in ([-2.0, -2.0], [2.0, 2.0])
    ]
    assert [answer.status_code for answer in made] == [200, 200], made[0].text
    low, high = (answer.json()["views"]["b"] for answer in made)
    assert low["kind"] == "vector"
    assert len(low["numbers"]) == 3
    assert high["numbers"][0] - low["numbers"][0] > 3  # 8 by the rule that made the table
    wrong = translator.post("/api/v1/translate", files={"cells": (None, '{"b": [1, 2, 3]}')})
    assert wrong.status_code == 400, wrong.text


def test_a_run_without_an_index_says_that_there_is_nothing_to_search(translator):
    run = translator.get("/api/v1/run", params={"run": "bare"}).json()
    assert not run["abilities"]["search"]
    assert translator.get("/api/v1/map?run=bare").json()["state"] == "none"
    for path in ("search?q=words", "facets?", "items/3?", "map/points?"):
        answer = translator.get(f"/api/v1/{path}&run=bare")
        assert answer.status_code == 409, (path, answer.text)
        assert answer.json()["error"]
    made = translator.post("/api/v1/translate?run=bare", files={"cells": (None, '{"a": [1, 1]}')})
    assert made.status_code == 200  # what needs no index works
    assert translator.get("/api/v1/health").status_code == 200
    assert translator.get("/").status_code == 200


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Of a run whose one view holds mixed columns with gaps."""
    folder = tmp_path_factory.mktemp("people")
    with (folder / "people.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["note", "age", "city"])
        for row in range(60):
            city = ("Bonn", "Ulm", "Köln")[row % 3]
            writer.writerow([f"lives in {city}", "" if row % 7 == 6 else 20 + row, city])
    read = {"text": "note", "table": ["age", "city"]}
    Run.fit(folder / "people.csv", method="clip", out=folder / "run", read=read, epochs=30, towers="scratch")
    with TestClient(application(opened_runs([folder / "run"])), base_url="http://localhost") as client:
        yield client


def test_a_view_of_mixed_columns_is_shown_found_and_asked_by(people):
    item = people.get("/api/v1/items/6").json()["item"]
    assert item["views"]["table"]["kind"] == "table"
    assert "city" in json.dumps(item["views"]["table"])
    found = people.get("/api/v1/search", params={"q": "lives in Ulm", "k": 6}).json()["hits"]
    assert all(hit["row"] % 3 == 1 for hit in found[:3])
    cells = json.dumps({"table": {"age": 30, "city": "Bonn"}})
    answer = people.post("/api/v1/embed", files={"cells": (None, cells)})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["vectors"]["table"]) == answer.json()["dim"]
    alike = people.get("/api/v1/items/7").json()["neighbours"]
    assert alike
