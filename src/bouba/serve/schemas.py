"""What the API answers, for /openapi.json."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

Kind = Literal["image", "text", "audio", "video", "vector", "table"]


class Error(BaseModel):
    error: str = Field(description="One sentence, with what to do about it.")


class RunName(BaseModel):
    name: str
    title: str
    rows: int


class Runs(BaseModel):
    runs: list[RunName]


class ViewName(BaseModel):
    name: str
    kind: Kind


class Column(BaseModel):
    name: str
    type: Literal["text", "integer", "number", "bool"]


class Label(BaseModel):
    name: str
    kind: Literal["class", "number"]
    classes: list[Any]


class Description(BaseModel):
    name: str
    title: str
    summary: str
    method: dict[str, str]
    views: list[ViewName]
    columns: list[Column]
    rows: int
    cells: int
    id_column: str | None
    abilities: dict[str, bool]
    labels: list[Label]
    translates: dict[str, str] | None
    examples: list[str] = Field(description="Queries that find what they name.")
    read_only: bool
    limits: dict[str, float]
    report: str | None


class View(BaseModel):
    kind: Kind
    text: str | None = None
    numbers: list[float] | None = None
    record: dict[str, Any] | None = None
    media: str | None = Field(None, description="Address of the picture, sound or clip.")
    thumbnail: str | None = None
    data: str | None = Field(None, description="A data URL of what was made.")


class Item(BaseModel):
    row: int
    id: str | None
    title: str
    views: dict[str, View]
    columns: dict[str, Any]


class Hit(Item):
    score: float | None
    confidence: float | None = Field(description="Probability that it is what was meant, where that is known.")
    way: str | None = Field(description="What found it: direct, letters, meaning, like.")
    view: str | None


class Found(BaseModel):
    hits: list[Hit]
    remarks: list[str] = Field(description='Such as "nothing here fits".')
    took_ms: float
    passing: int = Field(description="Rows that pass the filters.")


class Items(BaseModel):
    items: list[Item]


class ItemAndNeighbours(BaseModel):
    item: Item
    neighbours: list[Hit]


class Prediction(BaseModel):
    label: str
    value: Any
    probability: float | None
    interval: list[float] | None
    probabilities: dict[str, float] | None = None


class Predictions(BaseModel):
    predictions: list[Prediction]


class Share(BaseModel):
    view: str
    value: float


class Explanation(BaseModel):
    label: str
    value: Any
    views: list[Share] = Field(description="Shapley values.")
    words: dict[str, list[list[Any]]]
    pixels: dict[str, str] = Field(description="View -> data URL of a PNG.")


class Translation(BaseModel):
    views: dict[str, View]


class Embedding(BaseModel):
    dim: int
    vectors: dict[str, list[float]]


class Facets(BaseModel):
    columns: list[dict[str, Any]]


class MapState(BaseModel):
    state: Literal["ready", "computing", "none"]
    progress: float
    count: int
    columns: list[str]


class Health(BaseModel):
    status: Literal["ok"]
    runs: dict[str, dict[str, Any]]
