"""What routes take and answer, as /openapi.json says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from bouba.serve import schemas
from bouba.serve.limits import LARGEST, Limits

LIMITS = Limits()
FILE = {"type": "string", "pattern": "^f[0-9]$", "description": "Field of the form with the file: f0, f1, ..."}
SIGN = {"enum": [1, -1], "default": 1, "description": "-1: hits should not fit it."}
TEXT = {"type": "string", "minLength": 1, "maxLength": LIMITS.words}
COLUMN = {"type": "string"}


def _object(required: list[str], /, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


PART = {
    "anyOf": [
        _object(["text"], text=TEXT, sign=SIGN),
        _object(["file"], file=FILE, sign=SIGN),
        _object(["row"], row={"type": "integer", "minimum": 0, "maximum": LARGEST}, sign=SIGN),
    ]
}
FILTER = {
    "anyOf": [
        _object(["column", "any"], column=COLUMN, any={"type": "array", "items": {}, "minItems": 1}),
        _object(["column"], column=COLUMN, low={"type": ["number", "null"]}, high={"type": ["number", "null"]}),
    ]
}
QUERY = _object(
    [],
    parts={"type": "array", "items": PART, "maxItems": LIMITS.parts},
    k={"type": "integer", "minimum": 1, "maximum": LIMITS.k, "default": 24},
    where={"type": ["string", "null"], "description": "An SQL condition over the columns."},
    filters={"type": "array", "items": FILTER, "maxItems": 50},
    view={"type": ["string", "null"], "description": "Hits by this view alone."},
    sure={"type": ["number", "null"], "exclusiveMinimum": 0, "exclusiveMaximum": 1},
)
QUERY["example"] = {"parts": [{"text": "red"}, {"file": "f0", "sign": -1}, {"row": 12}], "k": 10, "filters": []}
CELLS = {
    "type": "object",
    "minProperties": 1,
    "description": "View -> its cell.",
    "additionalProperties": {
        "anyOf": [
            TEXT,
            {"type": "number"},
            {"type": "array", "items": {"type": "number"}},
            _object(["file"], file=FILE),
            {"type": "object", "description": "Column -> value, of a view of kind table."},
        ]
    },
    "example": {"caption": "a red circle", "photo": {"file": "f0"}, "weight": 1.5},
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Error, "description": text}
    for status, text in {
        400: "A mistake that the sentence names.",
        401: "The token is missing or wrong.",
        404: "No such run, row, view or file.",
        409: "The run cannot do that.",
        413: "Too large.",
        415: "A file of a kind that is not read.",
        422: "A parameter of another type.",
        429: "Too many at once; see Retry-After.",
        503: "No answer in time; see Retry-After.",
    }.items()
}


def sends(field: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """How a form is described: a field of JSON, and files f0, f1, ..."""
    file = {"type": "string", "format": "binary"}
    form = {"type": "object", "properties": {field: schema, "f0": file, "f1": file}, "required": [field]}
    media = {"schema": form, "encoding": {field: {"contentType": "application/json"}}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": media}}}


def gives(model: Any = None, content: str | None = None, also: Mapping[int | str, Any] = {}) -> dict[str, Any]:
    """What a route is documented to answer."""
    fine: dict[str, Any] = {"model": model} if model is not None else {}
    if content is not None:
        fine = {"content": {content: {"schema": {"type": "string", "format": "binary"}}}}
    return {"responses": {200: fine, **also, **ERRORS}, "response_model": None, "response_class": Response}
