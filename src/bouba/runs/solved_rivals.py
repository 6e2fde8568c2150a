"""Simple baselines that are solved in seconds: linear CCA, few pairs on frozen encoders, and scikit-learn's heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bouba.align import FewPairs, LinearBaseline
from bouba.data.views import Views
from bouba.errors import BoubaError, DataError
from bouba.evaluation import Result, evaluate, evaluate_predictions
from bouba.evaluation.differences import RowValues
from bouba.runs.defaults import ENCODERS, FEW_ROWS
from bouba.runs.method import Method
from bouba.runs.simple import SimplePredictor
from bouba.runs.simple_readers import Reader, frozen_readers, simple_readers, tf_idf_readers
from bouba.runs.yardsticks import BOOSTING, FROZEN, FROZEN_CCA, LINEAR_CCA, SIMPLE

FEW_PAIRS = "few-pairs"
ENCODED = 5000  # training rows that a frozen encoder reads for a baseline, where rows are many
BOOSTED_WIDTH = 200  # columns of simple features up to which trees are tried
REDUCED = 20  # columns of pictures, texts, sounds and clips that trees are shown
NUMBERS = ("vector", "table")


@dataclass(frozen=True)
class Solved:
    """A baseline that was solved.

    Args:
        name: in records. model: fitted. reads: the views that it reads.
    """

    name: str
    model: Any
    reads: tuple[str, ...]

    def judged(self, held_out: Views, probe: Views | None, seed: int | None, row_values: RowValues) -> Result:
        """Its records, but those of views that it does not read; `seed` is that of the run."""
        fields: dict[str, Any] = {"method": self.name, "split": "test", "seed": seed, "row_values": row_values}
        if not getattr(self.model, "predicts", False):
            return evaluate(self.model, held_out.select(*self.reads), probe=probe, **fields)
        result = evaluate_predictions(self.model, held_out, **fields)
        return Result([record for record in result if self._reads_for(record.direction)], result.meta)

    def _reads_for(self, direction: str) -> bool:
        by, _, view = direction.partition(" ")
        if by == "only":
            return view in self.reads
        return by != "without" or any(other != view for other in self.reads)


@dataclass
class Baselines:
    """The solved rivals of one model, made one by one.

    Args:
        method, model: fitted, that they are compared with.
        training: labelled and paired rows that they may learn from: without those of a hidden target.
        seed: of whatever is drawn. remarks: filled with sentences on what was chosen, or why one is missing.
    """

    method: Method
    model: Any
    training: Views
    seed: int = 0
    remarks: list[str] = field(default_factory=list)

    @property
    def parts(self) -> dict[str, Callable[[], Solved | None]]:
        """What is to be solved, in words -> what solves it. It gives None where nothing can be."""
        wanted: dict[str, Callable[[], Solved | None]] = {}
        rivals, model = self.method.rivals, self.model
        judges_classes = bool(self.training.y) and not model.predicts and not model.aligns
        if SIMPLE.name in rivals and model.predicts:
            wanted["simple baselines"] = self._simple
        if FROZEN.name in rivals and model.predicts:
            wanted["frozen encoders"] = self._frozen
        if SIMPLE.name in rivals and judges_classes:
            wanted["simple features"] = lambda: self._space("simple-probe", self._simple_readers())
            wanted["frozen encoders"] = self._frozen_space
        if LINEAR_CCA.name in rivals and (model.aligns or judges_classes) and len(self._own(self.training)) > 1:
            wanted[LINEAR_CCA.name] = self._linear
        if FEW_PAIRS in rivals and model.aligns:
            wanted[FEW_PAIRS] = lambda: self._few_pairs(FEW_PAIRS)
        if FROZEN_CCA.name in rivals and model.aligns:
            wanted[FROZEN_CCA.name] = lambda: self._few_pairs(FROZEN_CCA.name, ("cca",))
        return {name: self._or_remark(name, solve) for name, solve in wanted.items()}

    def strongest(self) -> SimplePredictor:
        """Of the simple baselines and the frozen encoders the best, by cross-validation on the training rows.

        Raises:
            DataError: none can be fitted.
        """
        solved = [self._or_remark("simple baselines", self._simple)(), self._or_remark("frozen", self._frozen)()]
        models = [one.model for one in solved if one is not None]
        if not models:
            raise DataError(" ".join(self.remarks) or "no view can be read without the model")
        return max(models, key=lambda model: model.score_)

    def _or_remark(self, name: str, solve: Callable[[], Solved | None]) -> Callable[[], Solved | None]:
        """The same, a fault becoming a sentence."""

        def solved() -> Solved | None:
            try:
                return solve()
            except BoubaError as error:  # too few rows, no word, an encoder that does not run here
                self.remarks.append(f"The baseline {name} is missing: {error}.")
                return None

        return solved

    def _own(self, views: Views) -> list[str]:
        return [view for view in views.columns if view in self.model.kinds_]

    @property
    def _rows(self) -> Views:
        return self.training.select(*self._own(self.training))

    @property
    def _crop(self) -> bool:
        """Whether the model cuts white margins away; then a baseline does."""
        specs = getattr(self.model, "specs_", None) or getattr(self.model, "towers", None) or {}
        return any(getattr(spec, "crop", False) for spec in specs.values())

    def _towers(self, views: Views) -> dict[str, Any]:
        """view -> frozen encoder: the model's own, or a packaged one; a sentence where none is installed."""
        from bouba.towers import Packaged

        own = getattr(self.model, "specs_", None) or getattr(self.model, "towers", None) or {}
        towers, absent = {}, []
        for view, kind in views.modalities.items():
            if isinstance(own.get(view), Packaged):
                towers[view] = own[view]
            elif kind in ENCODERS:
                spec = Packaged(ENCODERS[kind])
                if spec.package.installed:
                    towers[view] = spec
                else:
                    absent.append(spec.package)
        if absent:
            names = " and ".join(dict.fromkeys(package.name for package in absent))
            self.remarks.append(
                f"A baseline on frozen encoders is missing or weaker than it could be: {names} not installed here; "
                f"{absent[0].command} brings {'it' if len(set(absent)) == 1 else 'them'}."
            )
        return towers

    def _few(self, views: Views, towers: Mapping[str, Any]) -> Views:
        """Some of the rows where they are so many that a network would read them for hours."""
        if len(views) < FEW_ROWS or not towers:
            return views
        rows = np.random.default_rng(self.seed).permutation(len(views))[:ENCODED]
        self.remarks.append(f"Baselines on frozen encoders learnt from {ENCODED:,} of {len(views):,} training rows.")
        return views[np.sort(rows)]

    def _linear(self) -> Solved:
        rows = self._rows
        return Solved(LINEAR_CCA.name, LinearBaseline(crop=self._crop).fit(rows), tuple(rows.columns))

    def _few_pairs(self, name: str, candidates: Sequence[str] | None = None) -> Solved | None:
        rows = self._rows
        towers = self._towers(rows)
        if name == FROZEN_CCA.name and not towers:
            return None
        if len(rows.columns) > 2:
            candidates = None  # of three sides CCA is all there is
        limited = self._few(rows, towers)
        if limited is rows and len(rows) >= FEW_ROWS:
            limited = rows[np.sort(np.random.default_rng(self.seed).permutation(len(rows))[:ENCODED])]
        model = FewPairs(towers, candidates=candidates, random_state=self.seed).fit(limited)
        self.remarks.append(f"{name} took {model.chosen_}, by pairs held out of the training rows.")
        return Solved(name, model, tuple(rows.columns))

    @property
    def _numeric(self) -> dict[str, bool]:
        """Label -> whether the model predicts it as a number."""
        outputs = self.model.outputs(self._rows[:2])
        return {label: values.ndim == 2 for label, values in outputs.items() if label in self.training.y}

    def _fitted(self, name: str, readers: Mapping[str, Reader], rows: Views, *, boosted: bool = False) -> Solved:
        numeric = self._numeric
        head = "linear" if len(set(numeric.values())) > 1 else "ridge" if any(numeric.values()) else "logistic"
        full = name if boosted else f"{name}-{head}"
        model = SimplePredictor(full, readers, boosted, self.seed).fit(rows, numeric)
        return Solved(full, model, tuple(readers))

    def _simple(self) -> Solved | None:
        """The best of what needs no network, by cross-validation on the training rows."""
        rows = self._rows
        kinds = set(rows.modalities.values())
        tried: dict[str, Callable[[], Solved]] = {}
        if "text" in kinds:
            tried["tf-idf"] = lambda: self._fitted("tf-idf", tf_idf_readers(rows), rows)
        if kinds - {"text"}:
            tried["simple"] = lambda: self._fitted("simple", self._simple_readers(), rows)
        if kinds & set(NUMBERS):
            tried[BOOSTING.name] = self._boosted
        solved = [one for name, make in tried.items() if (one := self._or_remark(name, make)()) is not None]  # type: ignore[func-returns-value]
        if not solved:
            return None
        solved.sort(key=lambda one: -one.model.score_)
        if len(solved) > 1:
            scores = ", ".join(f"{one.name} {one.model.score_:.2f}" for one in solved)
            self.remarks.append(f"Simple baselines were compared by cross-validation on the training rows: {scores}.")
        return solved[0]

    def _boosted(self) -> Solved:
        rows = self._rows
        numbers = [view for view, kind in rows.modalities.items() if kind in NUMBERS]
        readers = simple_readers(rows.select(*numbers), crop=self._crop, random_state=self.seed, width=BOOSTED_WIDTH)
        if others := [view for view in rows.columns if view not in numbers]:
            readers |= simple_readers(rows.select(*others), crop=self._crop, random_state=self.seed, width=REDUCED)
        return self._fitted(BOOSTING.name, readers, rows, boosted=True)

    def _simple_readers(self) -> dict[str, Reader]:
        return simple_readers(self._rows, crop=self._crop, random_state=self.seed)

    def _frozen(self) -> Solved | None:
        rows = self._rows
        towers = self._towers(rows)
        if not towers:
            return None
        rows = self._few(rows, towers)
        return self._fitted("frozen", frozen_readers(rows, towers, crop=self._crop, random_state=self.seed), rows)

    def _frozen_space(self) -> Solved | None:
        rows = self._rows
        towers = self._towers(rows)
        if not towers:
            return None
        few = self._few(rows, towers)
        return self._space("frozen-probe", frozen_readers(few, towers, crop=self._crop, random_state=self.seed))

    def _space(self, name: str, readers: Mapping[str, Reader]) -> Solved:
        return Solved(name, PlainSpace(readers), tuple(readers))


@dataclass(frozen=True)
class PlainSpace:
    """Features of each view as they are, for a probe: what an embedding has to beat."""

    readers: Mapping[str, Reader]

    aligns = False
    predicts = False

    def embed(self, X: Views) -> dict[str, np.ndarray]:
        """view -> (n, d)."""
        return {view: reader(view, X[view]) for view, reader in self.readers.items() if view in X.columns}
