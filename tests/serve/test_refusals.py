"""What is not answered, and how that is said."""

import io
import json
import struct
import threading
import time
import zlib

import pytest
from page.collection import ROWS
from PIL import Image

from bouba.serve.limits import Limits

pytestmark = pytest.mark.xdist_group("serve")
SEARCH = "/api/v1/search"


def posted(client, query, **files):
    return client.post(SEARCH, data={"query": json.dumps(query)}, files=files or {"none": ("", b"")})


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/api/v1/items/{ROWS}", 404),
        ("/api/v1/items/-1", 404),
        ("/api/v1/items/99999999999999999999999", 404),
        ("/api/v1/items/1.5", 422),
        ("/api/v1/items/..%2f..%2fetc%2fpasswd", 404),
        ("/static/../app.py", 404),
        ("/static/..%2fapp.py", 404),
        ("/static/%2e%2e/app.py", 404),
        ("/report/nowhere", 404),
        ("/report/%2e%2e%2fkinds", 404),
        ("/api/v1/items/1/media/caption", 404),
        ("/api/v1/items/1/media/..%2f..%2frecipe.toml", 404),
        ("/api/v1/items?rows=1;2", 400),
        ("/api/v1/items?rows=" + ",".join(["1"] * 201), 400),
        ("/api/v1/search?q=x&k=0", 422),
        ("/api/v1/search?q=x&k=100000", 400),
        ("/api/v1/search?q=x&run=nowhere", 404),
        ("/api/v1/search?q=x&view=nowhere", 400),
        ("/api/v1/search?q=" + "x" * 3000, 413),
        ("/api/v1/search?q=x&filters={", 400),
        ("/api/v1/search?q=x&filters=" + "[" * 100, 400),
        ('/api/v1/search?q=x&filters=[{"column":"nowhere","any":[1]}]', 400),
        ('/api/v1/search?q=x&filters=[{"column":"kind` OR 1=1 --","any":["a"]}]', 400),
        ("/api/v1/search?q=x&where=1=1; DROP TABLE cells", 400),
        ("/api/v1/search?q=x&where=kind = (SELECT 1)", 400),
        ("/api/v1/facets?where=nonsense(", 400),
        ("/api/v1/map/colours?column=nowhere", 400),
        ("/api/v1/nothing", 404),
    ],
)
def test_a_mistake_is_one_sentence(client, path, status):
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert "Traceback" not in answer.text


def test_a_value_with_quotes_is_a_value(client):
    filters = json.dumps([{"column": "kind", "any": ["bar' OR '1'='1"]}])
    assert client.get(SEARCH, params={"q": "x", "filters": filters}).json()["passing"] == 0


@pytest.mark.parametrize(
    "query",
    [
        [],
        {"parts": "red"},
        {"parts": [{"text": 5}]},
        {"parts": [{"text": "red", "sign": 2}]},
        {"parts": [{"row": "1"}]},
        {"parts": [{"row": 10**30}]},
        {"parts": [{"file": "f9"}]},
        {"parts": [{"file": ["f0"]}]},
        {"parts": [{}] * 13},
        {"parts": [{"text": "red"}], "k": "many"},
        {"parts": [{"text": "red"}], "k": True},
        {"parts": [{"text": "red"}], "filters": [1]},
        {"parts": [{"text": "red"}], "where": {"a": 1}},
        {"parts": [{"text": "red"}], "sure": "very"},
        {"parts": [{"text": "\ud800"}]},
    ],
)
def test_wrong_types_are_refused(client, query):
    answer = posted(client, query)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]


def test_what_is_no_form(client):
    assert client.post(SEARCH, json={"parts": []}).status_code == 415
    broken = client.post(SEARCH, content=b"nonsense", headers={"content-type": "multipart/form-data; boundary=x"})
    assert broken.status_code == 400
    assert broken.json()["error"]


def pixel_bomb(side=60_000):
    """A PNG of `side` x `side` white pixels in some kilobytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
        + chunk(b"IEND", b"")
    )


def test_bombs_are_refused_before_they_are_decoded(client):
    started = time.process_time()
    assert posted(client, {"parts": [{"file": "f0"}]}, f0=("b.png", pixel_bomb())).status_code == 413
    assert posted(client, {"parts": [{"file": "f0"}]}, f0=("b.png", pixel_bomb(7000))).status_code == 413
    zipped = zlib.compress(b"\0" * 50_000_000)
    assert posted(client, {"parts": [{"file": "f0"}]}, f0=("b.zip", zipped)).status_code == 415
    assert posted(client, {"parts": [{"file": "f0"}]}, f0=("b.svg", b"<svg onload='alert(1)'/>")).status_code == 415
    assert time.process_time() - started < 5


def test_a_large_upload_is_refused_early(client):
    sent = 0

    def gigabyte():
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="f0"; filename="a"\r\n\r\n'
        for _ in range(1000):
            sent += 1_000_000
            yield b"\0" * 1_000_000

    headers = {"content-type": "multipart/form-data; boundary=x"}
    told = client.post(SEARCH, content=b"", headers=headers | {"content-length": "1000000000"})
    assert told.status_code == 413
    assert client.post(SEARCH, content=gigabyte(), headers=headers).status_code == 413


def test_a_long_sound_is_refused(tmp_path):
    import numpy as np
    import soundfile

    from bouba.serve.limits import Refusal
    from bouba.serve.uploads import Files

    out = io.BytesIO()
    soundfile.write(out, np.zeros(8000 * 3), 8000, format="WAV")
    files = Files({"f0": out.getvalue()}, {"call": "audio"}, Limits(seconds=2))
    with pytest.raises(Refusal, match="2 seconds at most"):
        files.cell("f0")
    assert Files({"f0": out.getvalue()}, {"call": "audio"}, Limits()).cell("f0")[0] == "audio"


def test_a_token_is_wanted_and_known(client_with):
    client = client_with(token="a" * 20)
    assert client.get("/").status_code == 200  # the page asks for it
    refused = client.get(SEARCH, params={"q": "red"})
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert client.get("/report/shapes").status_code == 401
    assert client.get("/openapi.json").status_code == 401
    assert client.get(SEARCH, headers={"authorization": "Bearer " + "b" * 20}).status_code == 401
    assert client.get(SEARCH, headers={"authorization": "Bearer " + "a" * 20}).status_code == 200
    let_in = client.get("/", params={"token": "a" * 20})
    assert let_in.status_code == 303
    assert "HttpOnly" in let_in.headers["set-cookie"]
    assert "SameSite=Strict" in let_in.headers["set-cookie"]
    assert client.get(SEARCH).status_code == 200  # by the cookie
    assert "set-cookie" not in client_with(token="a" * 20).get("/", params={"token": "wrong"}).headers


def test_another_name_for_this_machine_is_refused(client):
    assert client.get("/api/v1/health", headers={"host": "evil.example:8000"}).status_code == 400
    assert client.get("/api/v1/health", headers={"host": "127.0.0.1:8000"}).status_code == 200
    assert client.get("/api/v1/health", headers={"host": "[::1]:8000"}).status_code == 200


def test_other_pages_may_not_read_unless_they_are_named(client_with):
    origin = {"origin": "https://a.example"}
    assert "access-control-allow-origin" not in client_with().get("/api/v1/runs", headers=origin).headers
    client = client_with(origins=("https://a.example",))
    assert client.get("/api/v1/runs", headers=origin).headers["access-control-allow-origin"] == "https://a.example"
    assert client.options(SEARCH, headers=origin).status_code == 204
    other = client.get("/api/v1/runs", headers={"origin": "https://b.example"})
    assert "access-control-allow-origin" not in other.headers


def test_too_many_at_once_are_sent_away_for_a_moment(client_with, monkeypatch):
    begun, go = threading.Event(), threading.Event()

    def search(opened, some, narrowing):
        begun.set()
        go.wait(20)
        return [{"hits": []}] * len(some)

    monkeypatch.setattr("bouba.serve.api.doing.search", search)
    client = client_with(limits=Limits(waiting=1))
    answers = []
    asking = threading.Thread(target=lambda: answers.append(client.get(SEARCH, params={"q": "busy"})))
    asking.start()
    assert begun.wait(20)
    refused = [client.get(SEARCH, params={"q": "another"}), client.get("/api/v1/items/1")]
    health, thumbnail = client.get("/api/v1/health"), client.get("/api/v1/items/1/media/picture?size=64")
    go.set()
    asking.join()
    assert [(each.status_code, each.headers["retry-after"]) for each in refused] == [(429, "1")] * 2
    assert health.status_code == thumbnail.status_code == 200
    assert answers[0].json() == {"hits": []}


def test_what_takes_too_long_is_given_up(client_with, monkeypatch):
    go = threading.Event()
    monkeypatch.setattr(
        "bouba.serve.api.doing.search", lambda opened, some, narrowing: go.wait(20) and [{}] * len(some)
    )
    client = client_with(limits=Limits(query_seconds=0.1))
    answer = client.get(SEARCH, params={"q": "slow"})
    go.set()
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


def test_a_fault_of_the_server_is_no_traceback(client_with, monkeypatch):
    def broken(*args):
        raise RuntimeError("a secret path /etc/shadow")

    monkeypatch.setattr("bouba.serve.api.doing.search", broken)
    answer = client_with().get(SEARCH, params={"q": "broken"})
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_a_file_that_was_replaced_is_never_sent(client, runs):
    item = client.get("/api/v1/items/90").json()["item"]
    file = runs / "pictures" / "90.png"
    before = file.read_bytes()
    try:
        for other in (b"root:x:0:0", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", b"<html>"):
            file.write_bytes(other)
            for address in ("media", "thumbnail"):
                answer = client.get(item["views"]["picture"][address])
                assert answer.status_code == 404
                assert other not in answer.content
        file.unlink()
        file.symlink_to("/etc/passwd")
        assert client.get(item["views"]["picture"]["media"]).status_code == 404
    finally:
        file.unlink()
        file.write_bytes(before)
    assert Image.open(io.BytesIO(client.get(item["views"]["picture"]["media"]).content)).size == (48, 48)
