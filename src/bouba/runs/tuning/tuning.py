"""The search within the making of a run: its table is read, its rows are held out, and nothing is fitted yet."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba import durable
from bouba.data.split import split, units_of
from bouba.errors import DataError, require_installed
from bouba.report.study import Study
from bouba.runs import folder as run_folder
from bouba.runs.preparing import Prepared
from bouba.runs.reading import read_table
from bouba.runs.recipe import build
from bouba.runs.toml import to_toml
from bouba.runs.tuning.budget import Limit
from bouba.runs.tuning.candidates import Candidate, candidates, methods_for
from bouba.runs.tuning.search import Search

if TYPE_CHECKING:
    from bouba.runs.fitting import Fitting

SHARE = 0.2
"""Of the training rows, by key or group: those that trials are judged on."""
FEWEST = 10  # validation rows
FACT = "tune"
"""What run.json calls the settings of a search."""


@dataclass
class Tuning:
    """A search within the making of a run: `prepare` the table, then `search` on its training rows.

    Args:
        limit: of time. methods: names; none to choose by the table. validation: share of the training rows that judges
            trials. towers: names of encoders; none are searched then. base: the recipe that all trials start
            from; that of the caller when None.
    """

    limit: Limit
    methods: Sequence[str] = ()
    validation: float = SHARE
    towers: Any = None
    base: dict[str, Any] | None = None
    candidates: list[Candidate] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Tuning | None:
        """The search of a run that goes on; None where it is not made by one, or the search is over."""
        kept = facts.get(FACT)
        if kept is None or kept.get("over"):
            return None
        return cls(Limit(**kept["limit"]), kept["methods"], kept["validation"], kept["towers"], kept["base"])

    def prepare(self, table: Any, recipe: dict[str, Any], *, named: Mapping[str, Any]) -> Prepared:
        """The table, and the plain recipe that is tried first. See `bouba.runs.preparing.prepare`."""
        require_installed("optuna", "tune")
        if self.base is None:
            self.base = copy.deepcopy(recipe)
        views = read_table(table, self.base["read"])
        methods = methods_for(views, self.base, self.methods)
        self.candidates, self.refused = candidates(
            views, self.base, methods, {**named, "recorded": None, "towers": self.towers}
        )
        return copy.copy(self.candidates[0].prepared)

    @property
    def facts(self) -> dict[str, Any]:
        """What run.json keeps, so that it can go on."""
        kept = {"limit": asdict(self.limit), "methods": list(self.methods), "validation": self.validation}
        return {FACT: {**kept, "towers": self.towers, "base": self.base}}

    def check(self, fitting: Fitting) -> None:
        """DataError for too few rows to judge trials by."""
        if len(set(units_of(fitting.training).tolist())) * self.validation < FEWEST:
            raise DataError(
                f"{len(fitting.training)} training rows are too few to try recipes on: of {self.validation:g} of them "
                f"trials are judged, and {FEWEST} are needed; fit a method by name: bouba fit --method NAME"
            )

    def search(self, fitting: Fitting, folder: Path) -> None:
        """Try, and give the fitting the recipe of the winner, which the folder keeps from then on.

        Raises:
            DataError: no trial ended with a score.
        """
        from bouba.runs.tuning.judging import Judge  # evaluation imports scipy.stats

        seed = fitting.model.get_params(deep=False).get("random_state") or 0
        fitting.stages.begin("tune", self._sentence(fitting))
        shares = {"train": 1 - self.validation, "validation": self.validation}
        parts = split(fitting.training, shares, random_state=seed)
        judge = Judge(parts["validation"], fitting.target)
        rows = (self.candidates, parts["train"], judge, self.limit, folder, fitting.say, seed, self.refused)
        study = Search(*rows).run()
        self._take(study, fitting, folder)

    def _sentence(self, fitting: Fitting) -> str:
        names = ", ".join(candidate.method.name for candidate in self.candidates)
        return f"{names}, in {self.limit.seconds / 60:g} {self.limit.clock}, on {len(fitting.training):,} rows"

    def _take(self, study: Study, fitting: Fitting, folder: Path) -> None:
        winner = next(c for c in self.candidates if c.method.name == study.winner.method)
        recipe = winner.recipe(study.winner.settings)
        fitting.method, fitting.recipe = winner.method, recipe
        fitting.model = build(recipe)
        fitting.remarks = [*winner.prepared.remarks]
        fitting.say(study.why)
        study.save(folder)
        durable.write_text(folder / "recipe.toml", to_toml(recipe))
        facts = run_folder.read_facts(folder)
        run_folder.add_facts(folder, **{FACT: {**facts[FACT], "over": True}})
