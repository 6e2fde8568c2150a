"""A run of sounds and numbers, served."""

import csv
import io
import json

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
