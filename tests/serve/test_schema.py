"""What /openapi.json says of the API holds for requests that nobody thought of."""

import copy
import io

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from page.collection import ROWS, picture_of

schemathesis = pytest.importorskip("schemathesis")
from schemathesis import GenerationMode, checks  # noqa: E402
from schemathesis.specs.openapi import checks as openapi  # noqa: E402

from bouba.serve.app import application  # noqa: E402

pytestmark = pytest.mark.xdist_group("serve")
EXAMPLES = 8  # of each kind and operation
HOLDS = [
    checks.not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_headers_conformance,
    openapi.response_schema_conformance,
    openapi.negative_data_rejection,
    openapi.unsupported_method,
    openapi.allow_header_conformance,
]  # positive_data_acceptance is left out: which columns, rows and views there are is no matter of the description
PATHS = application({}).app.openapi()["paths"]
OPERATIONS = [(method.upper(), path) for path, methods in PATHS.items() for method in methods]
WRONG = [
    (method, path) for method, path in OPERATIONS if {"parameters", "requestBody"} & set(PATHS[path][method.lower()])
]
NAMES = {
    "run": {"enum": ["shapes", "kinds"]},
    "view": {"enum": ["picture", "caption"]},
    "label": {"enum": ["kind", "price"]},
    "column": {"enum": ["kind", "price"]},
    "row": {"type": "integer", "minimum": 0, "maximum": ROWS - 1},
    "like": {"type": "integer", "minimum": 0, "maximum": ROWS - 1},
    "rows": {"enum": ["0", "5,9,9", "95,1"]},
    "q": {"enum": ["", "a red circle", "blue"]},
    "minus": {"enum": ["", "bar"]},
    "where": {"enum": ["price < 5", "kind = 'bar'", "price > 1000"]},
    "filters": {"enum": ["[]", '[{"column": "kind", "any": ["bar"]}]', '[{"column": "price", "high": 9}]']},
    "k": {"type": "integer", "minimum": 1, "maximum": 200},
}


def png(row):
    out = io.BytesIO()
    picture_of(row).save(out, "PNG")
    return out.getvalue()


schemathesis.openapi.media_type("image/png", st.integers(0, ROWS - 1).map(png))


def narrowed(description):
    """The description with the names that there are, so that most of what it allows is answered."""
    description = copy.deepcopy(description)
    for methods in description["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = NAMES.get(parameter["name"], parameter["schema"])
                if parameter["name"] == "run" and operation["operationId"].startswith(("predict", "explain")):
                    parameter |= {"schema": {"const": "kinds"}, "required": True}
            if "requestBody" in operation:
                _narrow_form(operation["requestBody"]["content"]["multipart/form-data"])
    return description


def _narrow_form(form):
    words = {"enum": ["a red circle", "blue bar", "kreis"]}
    file = {
        "type": "object",
        "properties": {"file": {"const": "f0"}},
        "required": ["file"],
        "additionalProperties": False,
    }
    properties = form["schema"]["properties"]
    if "cells" in properties:
        views = {"caption": words, "picture": file}
        properties["cells"] = {"type": "object", "properties": views, "minProperties": 1, "additionalProperties": False}
    else:
        part = {"text": words, "file": {"const": "f0"}, "row": NAMES["row"]}
        parts = [{"type": "object", "properties": {name: part[name], "sign": {"enum": [1, -1]}}, "required": [name],
                  "additionalProperties": False} for name in part]  # fmt: skip
        query = properties["query"]["properties"]
        query["parts"] = {"type": "array", "items": {"anyOf": parts}, "maxItems": 3}
        query |= {name: NAMES[name] for name in ("view", "where")}
        query["filters"] = {"enum": [[], [{"column": "kind", "any": ["bar"]}], [{"column": "price", "low": 3}]]}
    form["schema"]["additionalProperties"] = False
    form["schema"]["required"] = [*form["schema"]["required"], "f0"]
    form["encoding"]["f0"] = {"contentType": "image/png"}


@pytest.fixture(scope="module")
def descriptions(opened):
    """Of everything, and of the names that there are."""
    plain, known = application(opened, hosts=None), application(opened, hosts=None)
    known.app.openapi_schema = narrowed(known.app.openapi())
    return [schemathesis.openapi.from_asgi("/openapi.json", app) for app in (plain, known)]


def holds(operation, mode):
    """How many of the requests of each status were answered as described."""
    statuses = []

    @seed(0)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def answered(case):
        statuses.append(case.call_and_validate(checks=HOLDS).status_code)

    answered()
    return statuses


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_are_as_described(descriptions, method, path):
    holds(descriptions[0][path][method], GenerationMode.POSITIVE)


@pytest.mark.parametrize(("method", "path"), WRONG)
def test_wrong_requests_are_refused_as_described(descriptions, method, path):
    holds(descriptions[0][path][method], GenerationMode.NEGATIVE)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_about_what_there_is_are_as_described(descriptions, method, path):
    statuses = holds(descriptions[1][path][method], GenerationMode.POSITIVE)
    expected = {200} if path != "/api/v1/translate" else {409}  # neither run translates
    assert expected <= set(statuses) <= {200, 400, 404, 409}
    assert statuses.count(expected.pop()) >= len(statuses) / 2, statuses
