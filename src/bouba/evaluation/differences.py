"""Is a model better than what stands beside it, on the same rows? Paired differences of what is shown first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bouba.declared import refuse_misfits
from bouba.errors import DataError
from bouba.evaluation.intervals import paired_difference
from bouba.files import read_json


@dataclass(frozen=True)
class Difference:
    """How much a model and a rival differ on rows that both were judged on.

    Args:
        method, rival: as in the records. domain, direction, metric: likewise.
        value: of the method less that of the rival. low, high: its 95% interval, rows of one thing drawn together.
        p: two-sided. n: rows.
    """

    method: str
    rival: str
    domain: str
    direction: str
    metric: str
    value: float
    low: float
    high: float
    p: float
    n: int

    def __str__(self) -> str:
        where = " ".join(part for part in (self.domain, self.direction, self.metric) if part)
        difference = f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"
        return f"{where}: {self.method} less {self.rival} {difference}, p = {self.p:.2g}, n = {self.n}"


@dataclass
class RowValues:
    """What single rows scored, by method and task; filled by `evaluate` and `evaluate_predictions`.

    >>> scored = RowValues()
    >>> results = [evaluate(model, test, method=name, row_values=scored) for name, model in models.items()]
    >>> print(*scored.differences("clip"), sep="\\n")
    """

    of: dict[tuple[str, str, str], dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]] = field(default_factory=dict)

    def add(
        self, fields: Mapping[str, Any], metric: str, rows: np.ndarray, keys: np.ndarray, values: np.ndarray
    ) -> None:
        """Keep the values (n,) of rows by number (n,), whose things are `keys` (n,), of a record with these fields."""
        task = (fields["domain"], fields["direction"], metric)
        self.of.setdefault(task, {})[fields["method"]] = (rows, keys, np.asarray(values, float))

    def differences(self, method: str) -> list[Difference]:
        """Of a method and every other one, task by task, where two things or more were judged by both."""
        found = []
        for (domain, direction, metric), by_method in self.of.items():
            if method not in by_method:
                continue
            rows, keys, values = by_method[method]
            for rival, (rival_rows, _, rival_values) in by_method.items():
                _, ours, theirs = np.intersect1d(rows, rival_rows, return_indices=True)
                if rival == method or len(set(keys[ours].tolist())) < 2:
                    continue
                bounds = None if metric.endswith("_mae") else (0.0, 1.0)
                of_both = paired_difference(values[ours], rival_values[theirs], groups=keys[ours], bounds=bounds)
                found.append(Difference(method, rival, domain, direction, metric, *of_both, len(ours)))
        return found


def read_differences(path: Path) -> list[Difference]:
    """What `write_differences` wrote.

    Raises:
        DataError: the file is no list of differences.
    """
    try:
        rows = read_json(path, list)
        for row in rows:
            refuse_misfits(Difference, row)
        return [Difference(**row) for row in rows]
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is no list of differences ({error}); fit again, or delete it") from error


def write_differences(differences: Iterable[Difference], path: Path) -> None:
    """A JSON list of them."""
    path.write_text(json.dumps([asdict(one) for one in differences], indent=1, ensure_ascii=False) + "\n", "utf-8")
