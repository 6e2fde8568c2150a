"""What a run folder holds, each part read when it is asked for."""

from __future__ import annotations

import os
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba.runs.folder import read_facts, read_jsonl
from bouba.runs.methods import Method, method_named, method_of
from bouba.runs.place import Place

if TYPE_CHECKING:
    from bouba.data.schema import Schema
    from bouba.evaluation import Result
    from bouba.evaluation.differences import Difference
    from bouba.report.study import Study
    from bouba.search import Certainty, Index, Known
    from bouba.search.words import Words


class Kept:
    """The parts of a run folder as attributes; see Run.

    Args:
        path: of the folder. device: where the model computes.
    """

    def __init__(self, path: str | os.PathLike[str], *, device: str = "auto"):
        self.path, self.device = Path(path), device  # use Run.fit or Run.open
        self._place = Place(self.path)

    @cached_property
    def model(self) -> Any:
        """The fitted estimator."""
        from bouba.persist import load

        return self._place.read(partial(load, device=self.device))

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """What the run was made by; empty for a model by itself."""
        from bouba.runs.recipe import load_recipe

        return self._place.read(lambda at: load_recipe(at / "recipe.toml") if (at / "recipe.toml").exists() else {})

    @cached_property
    def method(self) -> Method | None:
        """The row of its method; None for an estimator that is no method."""
        return method_named(self.recipe["method"]) if "method" in self.recipe else method_of(self.model)

    @cached_property
    def name(self) -> str:
        """What its records are called: the method's name."""
        return type(self.model).__name__.lower() if self.method is None else self.method.name

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What run.json holds: `rows` and `schema`; empty for early runs and for a model by itself."""
        return self._place.read(read_facts)

    @cached_property
    def schema(self) -> Schema:
        """Which columns the views of the model were read from."""
        from bouba.data.schema import Schema
        from bouba.runs.reading import schema_of_model

        if "schema" not in self.facts:
            return schema_of_model(self.model, self.recipe)
        return Schema.from_dict(self.facts["schema"]).select(self.model.kinds_)

    @cached_property
    def caution(self) -> str:
        """What to know before its numbers: how many rows held out have a near-duplicate in training; "" for nothing."""
        return self.facts.get("duplicates", {}).get("caution", "")

    @cached_property
    def result(self) -> Result | None:
        """The numbers measured when it was fitted."""
        from bouba.evaluation import Result

        name = "metrics.json"
        return self._place.read(lambda at: Result.from_json(at / name) if (at / name).exists() else None)

    @cached_property
    def differences(self) -> list[Difference]:
        """Of the model and each rival, on the same held-out rows; empty where none was compared so."""
        from bouba.evaluation.differences import read_differences

        name = "differences.json"
        return self._place.read(lambda at: read_differences(at / name) if (at / name).exists() else [])

    @cached_property
    def history(self) -> list[dict]:
        """A row an epoch; empty for what is solved."""
        return self._place.read(lambda at: read_jsonl(at / "history.jsonl"))

    @cached_property
    def study(self) -> Study | None:
        """The trials of the search that its settings came of; None where nobody searched."""
        from bouba.report.study import Study

        return self._place.read(Study.load)

    @cached_property
    def bad_rows(self) -> list[dict]:
        """Cells and rows of the table that could not be read."""
        return self._place.read(lambda at: read_jsonl(at / "bad_rows.jsonl"))

    @cached_property
    def has_index(self) -> bool:
        """Whether there is something to search."""
        return bool(self.model.searchable) and self._place.read(lambda at: (at / "index").exists())

    @cached_property
    def index(self) -> Index:
        """The search index. UsageError where the run has none."""
        from bouba.search import Index

        return self._place.read(lambda at: Index.open(at / "index"))

    @cached_property
    def known(self) -> Known | None:
        """What training knew, by which words find rows that have none; None where that was not kept."""
        from bouba.runs.known import opened

        return self._place.read(opened)

    @cached_property
    def words(self) -> Words | None:
        """Words that training met, where texts were learnt to be read from these alone; None where not kept."""
        from bouba.runs.texts import opened

        return self._place.read(opened)

    @cached_property
    def certainty(self) -> Certainty | None:
        """What scores are worth, by rows that were held out; None where that was not measured."""
        from bouba.runs.certainty import opened

        return self._place.read(opened)

    @cached_property
    def examples(self) -> list[str]:
        """Queries that find what they name, for a page to offer; see `bouba.runs.examples`."""
        from bouba.runs.examples import found, kept

        queries = self._place.read(kept)
        return found(self) if queries is None else queries
