"""The routes of /api/v1."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from bouba.serve import answers, doing, schemas
from bouba.serve.documented import CELLS, QUERY, gives, sends
from bouba.serve.limits import LARGEST, Limits, Refusal
from bouba.serve.media import Media
from bouba.serve.metrics import Metrics
from bouba.serve.opened import Opened
from bouba.serve.uploads import Files, cells_of, known, parsed, parts_of, words_of
from bouba.serve.working import Work

NEIGHBOURS = 12
PARTS: dict[int | str, Any] = {
    206: {"description": "A part, as Range names it."},
    416: {"description": "No such part."},
}
POINT = np.dtype([("row", "<u4"), ("x", "<u2"), ("y", "<u2")])
Row = Annotated[int, Query(ge=0, le=LARGEST)]
Text = Annotated[str | None, Query(max_length=4000)]


class Api:
    """The routes over some runs.

    Args:
        runs: by name, the first of which is meant where none is named.
    """

    def __init__(self, runs: Mapping[str, Opened], limits: Limits, work: Work, metrics: Metrics, *, read_only: bool):
        self.runs, self.limits, self.work, self.metrics, self.read_only = runs, limits, work, metrics, read_only
        self.media_of = Media(limits)
        self.router = APIRouter(prefix="/api/v1")
        for path, function, answer in (
            ("/runs", self.list_runs, gives(schemas.Runs)),
            ("/run", self.describe, gives(schemas.Description)),
            ("/search", self.search, gives(schemas.Found)),
            ("/items", self.items, gives(schemas.Items)),
            ("/items/{row}", self.item, gives(schemas.ItemAndNeighbours)),
            ("/items/{row}/media/{view}", self.media, gives(content="*/*", also=PARTS)),
            ("/items/{row}/predict", self.predict_row, gives(schemas.Predictions)),
            ("/items/{row}/explain", self.explain_row, gives(schemas.Explanation)),
            ("/facets", self.facets, gives(schemas.Facets)),
            ("/map", self.map, gives(schemas.MapState)),
            ("/map/points", self.points, gives(content="application/octet-stream")),
            ("/map/colours", self.colours, gives(content="application/octet-stream")),
            ("/health", self.health, gives(schemas.Health)),
            ("/metrics", self.prometheus, gives(content="text/plain")),
        ):
            self.router.add_api_route(path, function, methods=["GET"], **answer)
        for path, sent, model, form in (
            ("/search", self.search_parts, schemas.Found, sends("query", QUERY)),
            ("/predict", self.predict, schemas.Predictions, sends("cells", CELLS)),
            ("/explain", self.explain, schemas.Explanation, sends("cells", CELLS)),
            ("/translate", self.translate, schemas.Translation, sends("cells", CELLS)),
            ("/embed", self.embed, schemas.Embedding, sends("cells", CELLS)),
        ):
            self.router.add_api_route(path, sent, methods=["POST"], openapi_extra=form, **gives(model))

    def opened(self, name: str | None) -> Opened:
        """The run of a name. Refusal for another."""
        if name is None or name == "":
            return next(iter(self.runs.values()))
        if name not in self.runs:
            raise Refusal(404, f"no run {name!r:.60} is served here; there is {', '.join(self.runs)}")
        return self.runs[name]

    async def list_runs(self) -> Response:
        """The runs that are served."""
        listed = [{"name": name, "title": name, "rows": _rows(opened)} for name, opened in self.runs.items()]
        return JSONResponse({"runs": listed})

    async def describe(self, run: Text = None) -> Response:
        """What a run holds and can do."""
        opened = self.opened(run)
        return JSONResponse(
            await self.work.read(
                opened.steady(lambda: answers.described(opened, self.limits, read_only=self.read_only))
            )
        )

    async def search(
        self,
        q: Annotated[str, Query(description="Words.")] = "",
        minus: Annotated[str, Query(description="Words that hits should not fit.")] = "",
        like: Annotated[int | None, Query(ge=0, le=LARGEST, description="A row that hits should be like.")] = None,
        k: Annotated[int, Query(ge=1)] = 24,
        where: Annotated[str | None, Query(description="An SQL condition over the columns.")] = None,
        filters: Annotated[
            str, Query(description='[{"column": "kind", "any": ["bird"]}, {"column": "n", "low": 1}]')
        ] = "[]",
        view: Text = None,
        sure: Annotated[float | None, Query(gt=0, lt=1)] = None,
        run: Text = None,
    ) -> Response:
        """Rows that fit words, or are like a row; all rows that pass the filters where neither is given."""
        parts: list[dict[str, Any]] = [{"text": words_of(q, self.limits)}] if q.strip() else []
        parts += [{"row": like}] if like is not None else []
        parts += [{"text": words_of(minus, self.limits), "sign": -1}] if minus.strip() and parts else []
        narrowing = self._narrowing(k, where, parsed(filters, "filters"), view, sure)
        key = (q, minus, like, k, where, filters, view, sure)
        return await self._searched(self.opened(run), parts, narrowing, key)

    async def search_parts(self, request: Request, run: Text = None) -> Response:
        """Rows that fit words, pictures, sounds and rows together, each with a sign."""
        opened = self.opened(run)
        query, files = await self._form(request, "query", opened)
        known(query, QUERY["properties"], "query")
        parts = await self.work.read(lambda: parts_of(query, files, self.limits))
        given = (query.get(name) for name in ("where", "filters", "view", "sure"))
        where, filters, view, sure = given
        narrowing = self._narrowing(query.get("k", 24), where, filters or [], view, sure)
        return await self._searched(opened, parts, narrowing, None)

    def _narrowing(self, k: Any, where: Any, filters: Any, view: Any, sure: Any) -> doing.Narrowing:
        if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= self.limits.k:
            raise Refusal(400, f"k is a whole number from 1 to {self.limits.k}")
        if not isinstance(filters, list) or len(filters) > 50 or not all(isinstance(each, dict) for each in filters):
            raise Refusal(
                400, 'filters is a list of {"column": NAME, "any": [VALUES]} or {"column": NAME, "low": NUMBER}'
            )
        for name, text in (("where", where), ("view", view)):
            if text is not None and (not isinstance(text, str) or len(text) > 4000):
                raise Refusal(400, f"{name} is a text of 4000 characters at most")
        if sure is not None and (not isinstance(sure, int | float) or not 0 < sure < 1):
            raise Refusal(400, "sure is a probability between 0 and 1")
        return doing.Narrowing(k, where or None, tuple(filters), view or None, sure)

    async def _searched(self, opened: Opened, parts: list, narrowing: doing.Narrowing, key: Any) -> Response:
        run = opened.run()
        answer = None if key is None else opened.remembered(key)
        if answer is not None:
            self.metrics.remembered += 1
        else:
            kind = (opened.name, json.dumps(vars(narrowing), sort_keys=True, default=str))
            found = await self.work.together(
                kind,
                opened.steady(lambda some: doing.search(opened, some, narrowing)),
                parts,
                cost=None if key is None else opened.name,
            )
            answer = JSONResponse(found).body
            if key is not None:
                opened.remember(run, key, answer)
        return Response(answer, media_type="application/json")

    async def items(self, rows: Annotated[str, Query(description="1,2,3")], run: Text = None) -> Response:
        """Rows by their numbers."""
        numbers = rows.split(",")
        if len(numbers) > self.limits.rows or not all(n.strip().isascii() and n.strip().isdecimal() for n in numbers):
            raise Refusal(400, f"rows is 1,2,3: {self.limits.rows} whole numbers at most")
        opened = self.opened(run)
        wanted = [_number(each) for each in numbers]
        return JSONResponse({"items": await self.work.read(opened.steady(lambda: self._items(opened, wanted)))})

    def _items(self, opened: Opened, rows: list[int]) -> list[dict[str, Any]]:
        run = self._with_index(opened)
        return answers.items_of(opened, run, rows)

    def _with_index(self, opened: Opened) -> Any:
        run = opened.run()
        if not run.has_index:
            raise Refusal(409, f"{opened.name} has no index")
        return run

    async def item(self, row: int, run: Text = None) -> Response:
        """A row, and those most like it."""
        opened, wanted = self.opened(run), _number(row)
        await self.work.read(opened.steady(lambda: self._items(opened, [wanted])))
        return JSONResponse(
            await self.work.compute(opened.steady(lambda: doing.neighbours(opened, wanted, NEIGHBOURS)))
        )

    async def media(
        self, row: int, view: str, size: Annotated[int | None, Query(ge=16, le=1024)] = None, run: Text = None
    ) -> Response:
        """The picture, sound or clip of a row; with size a thumbnail."""
        opened, wanted = self.opened(run), _number(row)
        content, kind = await self.work.read(
            opened.steady(lambda: self.media_of.of(self._with_index(opened), wanted, view, size))
        )
        headers = {"cache-control": "private, max-age=300", "content-disposition": "inline"}
        if isinstance(content, Path):
            return FileResponse(content, media_type=kind, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    async def predict_row(self, row: int, run: Text = None) -> Response:
        """What the model predicts for a row."""
        return await self._of_row(row, run, doing.predicted)

    async def explain_row(self, row: int, label: Text = None, run: Text = None) -> Response:
        """What each view of a row added to what is predicted."""
        return await self._of_row(row, run, lambda opened, views: doing.explained(opened, views, label))

    async def _of_row(self, row: int, run: str | None, function: Callable[[Opened, Any], Any]) -> Response:
        opened, wanted = self.opened(run), _number(row)
        return JSONResponse(
            await self.work.compute(
                opened.steady(lambda: function(opened, doing.row_of(self._with_index(opened), wanted)))
            )
        )

    async def predict(self, request: Request, run: Text = None) -> Response:
        """What the model predicts from some views."""
        return await self._of_cells(request, run, doing.predicted)

    async def explain(self, request: Request, label: Text = None, run: Text = None) -> Response:
        """What each of some views added to what is predicted."""
        return await self._of_cells(request, run, lambda opened, views: doing.explained(opened, views, label))

    async def translate(self, request: Request, run: Text = None) -> Response:
        """The view that the model makes from another."""
        return await self._of_cells(request, run, doing.translated)

    async def embed(self, request: Request, run: Text = None) -> Response:
        """A vector for each of some views."""
        return await self._of_cells(request, run, doing.embedded)

    async def _of_cells(self, request: Request, run: str | None, function: Callable[[Opened, Any], Any]) -> Response:
        opened = self.opened(run)
        given, files = await self._form(request, "cells", opened)
        cells = await self.work.read(lambda: cells_of(given, files, self.limits))
        return JSONResponse(
            await self.work.compute(opened.steady(lambda: function(opened, doing.views_of(opened.run(), cells))))
        )

    async def _form(self, request: Request, field: str, opened: Opened) -> tuple[Any, Files]:
        """The JSON of a field, and the files beside it."""
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise Refusal(415, f"send a form (multipart/form-data) with {field} and files f0, f1, ...")
        try:
            form = await request.form(max_files=self.limits.parts, max_fields=4, max_part_size=1_000_000)
        except (MultiPartException, ValueError, KeyError) as error:
            raise Refusal(400, f"the form cannot be read: {str(error)[:120]}") from None
        except Exception as error:
            if type(error).__name__ != "HTTPException":  # starlette turns what a parser says into one
                raise
            raise Refusal(400, f"the form cannot be read: {str(getattr(error, 'detail', ''))[:120]}") from None
        contents = {name: await file.read() for name, file in form.items() if isinstance(file, UploadFile)}
        text = contents.pop(field, None) or form.get(field)  # programs send JSON as a file, too
        if not isinstance(text, str | bytes):
            raise Refusal(400, f"the form has no field {field!r}")
        given = parsed(text if isinstance(text, str) else text.decode("utf-8", "replace"), field)
        if not isinstance(given, dict):
            raise Refusal(400, f"{field} is an object of JSON")
        return given, Files(contents, opened.run().model.kinds_, self.limits)

    async def facets(self, where: Text = None, filters: Text = "[]", run: Text = None) -> Response:
        """How many rows have which value, or a number in which range, among those that pass the other filters."""
        opened, narrowing = self.opened(run), self._narrowing(1, where, parsed(filters or "[]", "filters"), None, None)

        def counted() -> list[dict[str, Any]]:
            found = self._with_index(opened).facets(narrowing.where, list(narrowing.filters))
            return [_facet(each) for each in found]

        return JSONResponse({"columns": await self.work.read(opened.steady(counted))})

    async def map(self, run: Text = None) -> Response:
        """Whether there is a map, which is made when it is first asked for."""
        opened = self.opened(run)

        def state() -> dict[str, Any]:
            if not opened.run().has_index:
                return {"state": "none", "progress": 0.0, "count": 0, "columns": []}
            found = opened.map_or_begin()
            if found is None:
                return {"state": "computing", "progress": opened.map_progress or 0.0, "count": 0, "columns": []}
            return {"state": "ready", "progress": 1.0, "count": len(found), "columns": opened.run().colourable()}

        return JSONResponse(await self.work.read(opened.steady(state)))

    async def points(self, run: Text = None) -> Response:
        """The points of the map: uint32 row, uint16 x, uint16 y each, little endian."""
        opened = self.opened(run)

        def packed() -> bytes:
            self._with_index(opened)
            found = opened.map_or_begin()
            if found is None:
                raise Refusal(409, "the map is being made; ask /api/v1/map how far it has come", 2)
            points = np.empty(len(found), POINT)
            points["row"] = found.rows
            points["x"], points["y"] = (np.rint(65535 * axis.astype(np.float64)) for axis in (found.x, found.y))
            return points.tobytes()

        return Response(await self.work.read(opened.steady(packed)), media_type="application/octet-stream")

    async def colours(self, column: Annotated[str, Query(max_length=4000)], run: Text = None) -> Response:
        """A column as a uint8 a point of the map; the header X-Legend says what each stands for."""
        opened = self.opened(run)
        found = await self.work.read(opened.steady(lambda: self._with_index(opened).colours(column)))
        legend: dict[str, Any] = {"kind": found.kind}
        if found.kind == "values":
            legend["values"] = [answers.plain(each) for each in found.values]
        else:
            legend |= {"low": found.low, "high": found.high}
        headers = {"x-legend": quote(json.dumps(legend))}
        return Response(found.codes.tobytes(), media_type="application/octet-stream", headers=headers)

    async def health(self) -> Response:
        """Whether the server answers, and with which version of which run."""
        runs = {name: {"rows": _rows(opened), "version": _version(opened)} for name, opened in self.runs.items()}
        return JSONResponse({"status": "ok", "runs": runs})

    async def prometheus(self) -> Response:
        """Counts of requests for Prometheus."""
        rows = {name: _rows(opened) for name, opened in self.runs.items()}
        text = self.metrics.text(waiting=self.work.under_way, rows=rows)
        return Response(text, media_type="text/plain; version=0.0.4")


def _number(given: int | str) -> int:
    """A row's number. Refusal for one that no index has."""
    number = int(given)
    if not 0 <= number <= LARGEST:
        raise Refusal(404, f"the index has no row {str(given)[:30]}")
    return number


def _rows(opened: Opened) -> int:
    run = opened.run()
    return len(run.index.listing.rows) if run.has_index else 0


def _version(opened: Opened) -> int:
    run = opened.run()
    return run.index.version if run.has_index else 0


def _facet(facet: Any) -> dict[str, Any]:
    if facet.kind == "values":
        values = [{"value": answers.plain(value), "count": count} for value, count in facet.values]
        return {"name": facet.name, "kind": "values", "values": values}
    edges = list(facet.edges)
    return {
        "name": facet.name,
        "kind": "range",
        "low": edges[0],
        "high": edges[-1],
        "counts": list(facet.counts),
        "edges": edges,
    }
