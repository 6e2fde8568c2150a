"""What the API answers."""

import io
import json

import numpy as np
import pytest
from page.collection import MARKUP, MARKUP_ROW, ROWS, caption_of, colour_of, picture_of, shape_of
from PIL import Image

pytestmark = pytest.mark.xdist_group("serve")
SEARCH = "/api/v1/search"


def got(client, path, **query):
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def png(number):
    out = io.BytesIO()
    picture_of(number).save(out, "PNG")
    return out.getvalue()


def test_runs_and_what_they_can_do(client):
    assert [(run["name"], run["rows"]) for run in got(client, "/api/v1/runs")["runs"]] == [
        ("shapes", ROWS),
        ("kinds", ROWS),
    ]
    shapes, kinds = got(client, "/api/v1/run"), got(client, "/api/v1/run", run="kinds")
    assert shapes["abilities"] == {"search": True, "predict": False, "translate": False, "explain": False, "map": True}
    assert kinds["abilities"]["predict"]
    assert kinds["abilities"]["explain"]
    assert {label["name"]: label["kind"] for label in kinds["labels"]} == {"kind": "class", "price": "number"}
    assert [view["name"] for view in shapes["views"]] == ["picture", "caption"]


def test_words_find_rows_with_all_that_they_show(client):
    answer = got(client, SEARCH, q="a red circle", k=5)
    assert len(answer["hits"]) == 5 == len({hit["row"] for hit in answer["hits"]})
    assert answer["passing"] == ROWS
    first = answer["hits"][0]
    assert colour_of(first["row"]) == "red"
    assert first["columns"]["kind"] == shape_of(first["row"])
    thumbnail = client.get(first["views"]["picture"]["thumbnail"])
    assert thumbnail.headers["content-type"] == "image/webp"
    assert max(Image.open(io.BytesIO(thumbnail.content)).size) <= 256
    whole = client.get(first["views"]["picture"]["media"])
    assert whole.headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(whole.content))), np.asarray(picture_of(first["row"])))


def test_filters_and_conditions_narrow(client):
    bars = json.dumps([{"column": "kind", "any": ["bar"]}, {"column": "price", "low": 25}])
    answer = got(client, SEARCH, q="red", filters=bars, k=50)
    expected = {row for row in range(ROWS) if shape_of(row) == "bar" and row % 12 * 2.5 >= 25}
    assert {hit["row"] for hit in answer["hits"]} == expected
    assert answer["passing"] == len(expected)
    assert got(client, SEARCH, q="red", where="kind = 'bar' AND price >= 25", k=50)["passing"] == len(expected)
    assert got(client, SEARCH, q="red", where="price > 1000")["hits"] == []


def test_without_a_question_rows_are_listed(client):
    answer = got(client, SEARCH, k=3)
    assert [hit["row"] for hit in answer["hits"]] == [0, 1, 2]
    assert {hit["score"] for hit in answer["hits"]} == {None}


def test_parts_with_signs_and_files(client):
    query = {"parts": [{"file": "f0"}], "k": 3}
    answer = client.post(SEARCH, data={"query": json.dumps(query)}, files={"f0": ("x.png", png(2))}).json()
    assert colour_of(answer["hits"][0]["row"]) == colour_of(2)
    assert shape_of(answer["hits"][0]["row"]) == shape_of(2)
    query = {"parts": [{"text": "red"}, {"text": "circle", "sign": -1}, {"row": 3}], "k": 4}
    answer = client.post(SEARCH, files={"query": (None, json.dumps(query))})
    assert answer.status_code == 200, answer.text
    assert 3 not in {hit["row"] for hit in answer.json()["hits"]}


def test_rows_like_a_row(client):
    answer = got(client, SEARCH, like=7, k=3)
    assert 7 not in [hit["row"] for hit in answer["hits"]]
    item = got(client, "/api/v1/items/7")
    assert item["item"]["title"] == caption_of(7)
    assert item["neighbours"][0]["row"] == answer["hits"][0]["row"]


def test_many_questions_together_are_answered_as_one_by_one(client, opened):
    from bouba.serve.doing import Narrowing, search

    questions = [[{"text": words}] for words in ("red", "a blue bar", "green circle")] + [[]]
    together = search(opened["shapes"], questions, Narrowing(4))
    for parts, answer in zip(questions, together, strict=True):
        [alone] = search(opened["shapes"], [parts], Narrowing(4))
        assert [hit["row"] for hit in alone["hits"]] == [hit["row"] for hit in answer["hits"]]
        scores = [[hit["score"] or 0 for hit in each["hits"]] for each in (alone, answer)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_facets_count_what_passes_the_other_filters(client):
    columns = {each["name"]: each for each in got(client, "/api/v1/facets", where="price < 5")["columns"]}
    counted = {each["value"]: each["count"] for each in columns["kind"]["values"]}
    of = [shape_of(row) for row in range(ROWS) if row % 12 * 2.5 < 5]
    assert counted == {shape: of.count(shape) for shape in set(of)}
    assert sum(columns["price"]["counts"]) == len(of)
    assert "caption" not in columns or columns["caption"]["kind"] == "values"


def test_the_map_and_its_colours(client):
    import time

    while got(client, "/api/v1/map")["state"] != "ready":
        time.sleep(0.05)
    points = np.frombuffer(client.get("/api/v1/map/points").content, [("row", "<u4"), ("x", "<u2"), ("y", "<u2")])
    assert points["row"].tolist() == list(range(ROWS))
    assert len(np.unique(points["x"])) > 3
    answer = client.get("/api/v1/map/colours", params={"column": "kind"})
    from urllib.parse import unquote

    legend = json.loads(unquote(answer.headers["x-legend"]))
    assert [legend["values"][code] for code in answer.content] == [shape_of(row) for row in range(ROWS)]


def test_predict_and_explain_a_row_and_what_is_sent(client):
    answer = got(client, "/api/v1/items/4/predict", run="kinds")
    kind, price = answer["predictions"]
    assert kind["label"] == "kind"
    assert sum(kind["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert price["label"] == "price"
    sent = client.post(
        "/api/v1/predict",
        params={"run": "kinds"},
        data={"cells": json.dumps({"caption": caption_of(4), "picture": {"file": "f0"}})},
        files={"f0": ("p", png(4))},
    ).json()
    assert sent["predictions"][0]["probability"] == pytest.approx(kind["probability"], abs=1e-4)
    why = got(client, "/api/v1/items/4/explain", run="kinds", label="kind")
    assert {share["view"] for share in why["views"]} == {"picture", "caption"}
    assert [word for word, _ in why["words"]["caption"]] == caption_of(4).split()
    assert why["pixels"]["picture"].startswith("data:image/png;base64,")


def test_vectors_are_those_of_the_model(client, opened):
    answer = client.post("/api/v1/embed", files={"cells": (None, json.dumps({"caption": "a red bar"}))}).json()
    from bouba.data.views import Views

    z = opened["shapes"].run().model.embed(Views({"caption": ["a red bar"]}, kinds={"caption": "text"}))["caption"][0]
    assert answer["dim"] == len(z)
    assert answer["vectors"]["caption"] == pytest.approx(z.tolist(), abs=1e-5)


def test_markup_stays_text(client):
    item = got(client, "/api/v1/items", rows=str(MARKUP_ROW))["items"][0]
    assert item["title"] == MARKUP
    assert client.get("/api/v1/items", params={"rows": "5"}).headers["content-type"] == "application/json"


def test_what_a_run_cannot_do_is_said(client):
    answer = client.get("/api/v1/items/1/predict")
    assert answer.status_code == 409
    assert "bouba fit" in answer.json()["error"]
    assert client.post("/api/v1/translate", files={"cells": (None, '{"caption": "red"}')}).status_code == 409


def test_health_metrics_and_description(client):
    assert got(client, "/api/v1/health")["runs"]["shapes"] == {"rows": ROWS, "version": 1}
    got(client, SEARCH, q="counted once")
    got(client, SEARCH, q="counted once")
    text = client.get("/api/v1/metrics").text
    assert 'bouba_requests_total{method="GET",route="/api/v1/search",status="200"}' in text
    assert 'bouba_rows{run="shapes"} 96' in text
    remembered = next(line for line in text.splitlines() if line.startswith("bouba_remembered_answers_total"))
    assert float(remembered.split()[-1]) >= 1
    described = got(client, "/openapi.json")
    assert set(described["paths"]["/api/v1/search"]) == {"get", "post"}
    assert client.get("/docs").status_code == 404


def test_the_page_and_the_report(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    report = client.get("/report/shapes")
    assert report.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
