"""Rows of a table that may be wrong, pairs and labels, as records, in a file and on a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bouba.data.views import Views
from bouba.errors import UsageError
from bouba.evaluation.doubts import FEWEST, Doubt
from bouba.report import Report, write
from bouba.report.build import cells_shown
from bouba.report.content import Listed
from bouba.runs.row_ids import ids_of, in_words, row_names, summaries
from bouba.runs.suspicion import SHOWN, described, doubtful, judged_by, spread, suspicious, views_of
from bouba.runs.wrong_labels import Judgement, class_labels, judged_by_model, judged_labels

COLUMNS = ("what", "row", "id", "doubt", "label", "given", "likely", "confidence", "one", "other", "rank", "rank_back")
"""Of a file."""


@dataclass(frozen=True)
class Suspects:
    """What may be wrong.

    Args:
        views: the rows. pairs: all, the most doubtful first. labels: None where the run predicts no class.
        remarks: why pairs or labels were not judged.
    """

    views: Views
    pairs: list[Doubt]
    labels: Judgement | None
    remarks: list[str] = field(default_factory=list)

    @cached_property
    def pair_records(self) -> list[dict[str, Any]]:
        return described(self.views, self.pairs)

    @cached_property
    def label_records(self) -> list[dict[str, Any]]:
        """As of pairs, with a line on each cell of the row."""
        if self.labels is None:
            return []
        ids, place = ids_of(self.views), _places(self.views)
        return [
            row_names(ids, one.row)
            | {**asdict(one), "cells": summaries(self.views, place[one.row], self.views.columns)}
            for one in self.labels.wrong
        ]

    def lines(self) -> list[dict[str, Any]]:
        """Both in one table: `what` is "pair" or "label"."""
        pairs = [
            {**one, "what": "pair", **dict(zip(("one", "other"), one["views"], strict=True)), **_ranks(one)}
            for one in self.pair_records
        ]
        return [*({**one, "what": "label"} for one in self.label_records), *pairs]

    def write_page(self, file: Path) -> Path:
        """The most doubtful with pictures and words; its path."""
        title = "What may be wrong"
        shown: dict[str, Any] = {}
        if self.pairs:
            shown = {"doubtful": doubtful(self.views, self.pairs), "doubtful_by": judged_by(self.pairs)}
        if self.labels is not None:
            shown |= {"labels": _listed(self.labels, SHOWN), "labels_by": labels_judged_by(self.labels)}
        summary = f"{len(self.pairs):,} pairs were judged"
        if self.labels is not None:
            summary += f"; of {self.labels.judged:,} labels {len(self.labels.wrong):,} are probably wrong"
        return write(Report(title, f"{summary}.", notes=self.remarks, **shown), file)


def suspects_in(run: Any, table: Any, named: Mapping[str, Any]) -> Suspects:
    """Of a Run's table, or another; what cannot be judged there is left out with a remark.

    Raises:
        UsageError: neither pairs nor labels can be judged, or the table is not known.
    """
    views, remarks = views_of(run, table, named), []
    pairs: list[Doubt] = []
    labels: Judgement | None = None
    try:
        pairs = suspicious(views, run.model)
    except UsageError as error:
        remarks.append(f"no pairs: {error}")
    if run.model.predicts:
        try:
            labels = judged_labels(run, table, named)
        except UsageError as error:
            remarks.append(f"no labels: {error}")
    if not pairs and labels is None:
        raise UsageError("; ".join(remarks))
    return Suspects(views, pairs, labels, remarks)


def labels_judged_by(judgement: Judgement) -> str:
    """How, as a sentence."""
    return f"Of {judgement.judged:,} labels {len(judgement.wrong):,} are probably wrong; {judgement.by}."


def held_out_labels(model: Any, held_out: Views | None) -> dict[str, Any]:
    """What a run's report says of labels that were held out, as fields of Report; nothing where there are too few."""
    if held_out is None or not model.predicts or len(held_out) < FEWEST:
        return {}
    try:
        judgement = judged_by_model(model, some := spread(held_out), class_labels(model, some))
    except UsageError:  # it predicts numbers
        return {}
    return {"labels": _listed(judgement, SHOWN // 2), "labels_by": labels_judged_by(judgement)}


def _listed(judgement: Judgement, most: int) -> list[Listed]:
    """The first of them with pictures and words."""
    views, place, ids = judgement.views, _places(judgement.views), ids_of(judgement.views)
    return [
        Listed(
            [in_words(ids, one.row)],
            cells_shown(views, place[one.row], views.columns),
            f"{one.label} is {one.given}; {one.likely} fits with {one.confidence:.0%}",
        )
        for one in judgement.wrong[:most]
    ]


def _places(views: Views) -> dict[int, int]:
    return {row: place for place, row in enumerate(views.rows.tolist())}


def _ranks(record: Mapping[str, Any]) -> dict[str, int]:
    return dict(zip(("rank", "rank_back"), record["ranks"], strict=True))
