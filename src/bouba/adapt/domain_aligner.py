"""What the closed-form aligners of two domains share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bouba import persist
from bouba.data.arrays import complete, data_error
from bouba.data.characters import class_name
from bouba.data.views import is_missing
from bouba.errors import DataError, UsageError, nearest
from bouba.estimator import BaseEstimator, TransformerMixin, check_is_fitted

DOMAINS = ("source", "target")
EPS = np.finfo(float).eps


class DomainAligner(TransformerMixin, BaseEstimator):
    """A map, solved rather than trained, after which the rows of two domains look alike. No target label is read.

    Some also read the labels of source rows, which come as `labels`, or, with the target in the constructor, as y.

    A source row and a target row may need different maps. Which one `transform` takes is set by `domain=`, or else
    follows from where the target was given:

        fit(X_source, X_target)             transform(X) takes X for source rows; so does fit_transform
        Aligner(target=X_target).fit(X)     for a Pipeline: fit_transform takes its rows for source rows, transform,
                                            which is what a Pipeline calls to predict, for target rows

    So make_pipeline(Aligner(target=X_target), classifier).fit(X_source, y).predict(X_target) learns from moved source
    rows and predicts target rows. Then `fit(X).transform(X)` is not `fit_transform(X)`, and cross-validation over
    source rows judges rows that were not moved. Steps before the aligner do not reach `target`: apply them to it.

    What differs between the domains is taken for the shift. Where the classes have other shares in the target, that is
    a difference too, and aligning it away moves rows of one class onto the other: it may do worse than nothing.

    A method is `_fit` and `_project`. `_fit` sets attributes that end in "_"; all of them are saved, the argument
    `target` is not.
    """

    target: Any

    @abstractmethod
    def _fit(self, source: np.ndarray, target: np.ndarray, labels: Any) -> None:
        """Solve for float64 rows (n, d) and (m, d), two or more each; labels of the source as they were given."""

    @abstractmethod
    def _project(self, rows: np.ndarray, domain: str) -> np.ndarray:
        """Rows (n, d) of one of DOMAINS -> (n, k)."""

    def fit(self, X, y=None, *, labels=None):
        """Solve for rows of both domains.

        Args:
            X: source rows (n, d). y: target rows (m, d); with `target` in the constructor, labels for a later
                step of a pipeline, and for aligners that read them.
            labels: classes of the source rows (n,), for aligners that read them.

        Returns:
            self.

        Raises:
            DataError: NaN, unequal widths, fewer than two rows in a domain. UsageError: no target, or two.
        """
        from sklearn.utils.validation import validate_data

        self.__dict__.pop("domain_", None)  # a fit that fails leaves nothing to transform by
        try:
            source = validate_data(self, complete("X", X), dtype=np.float64, ensure_min_samples=2)
        except (TypeError, ValueError) as error:
            raise data_error(error) from error
        self._fit(source, self._target_rows(y), y if labels is None and self.target is not None else labels)
        self.domain_ = "source" if self.target is None else "target"
        return self

    def fit_transform(self, X, y=None, *, labels=None):
        """Fit, and map X as the source rows that they are. Arguments as in `fit`."""
        return self.fit(X, y, labels=labels).transform(X, domain="source")

    def transform(self, X, *, domain: str | None = None):
        """Rows (n, d) -> (n, k).

        Args:
            X: rows of one domain.
            domain: "source" or "target"; None takes `domain_`, see the class.

        Raises:
            DataError: another width, NaN. UsageError: another domain.
        """
        from sklearn.utils.validation import validate_data

        check_is_fitted(self)
        domain = self.domain_ if domain is None else domain
        if domain not in DOMAINS:
            raise UsageError(f"no domain {domain!r}{nearest(str(domain), DOMAINS)}")
        try:
            rows = validate_data(self, complete("X", X), reset=False, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise data_error(error) from error
        with np.errstate(over="ignore", invalid="ignore"):  # refused by name
            moved = self._project(rows, domain)
        if not np.isfinite(moved).all():
            raise DataError(
                "the rows hold numbers too large or too small to be moved; scale columns to a deviation of 1"
            )
        return moved

    def save(self, path: str | Path) -> None:
        """Write the model as a folder of JSON and safetensors; `bouba.load` restores it to the bit.

        It transforms as before; to fit it again, set `target` again.
        """
        check_is_fitted(self)
        fitted, arrays = persist.pack({name: value for name, value in vars(self).items() if name.endswith("_")})
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name != "target"}
        arguments = {name: persist.describe(value) for name, value in parameters.items()}
        facts = {"class": persist.name_of(type(self)), "arguments": arguments, "fitted": fitted}
        persist.write_model(Path(path), facts, arrays)

    def _restore(self, facts: dict, file: Path, custom: Sequence[type]) -> None:
        """Become the fitted model that `save` wrote."""
        persist.restore_attributes(self, facts, file, custom)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "domain_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags

    def _target_rows(self, y) -> np.ndarray:
        """(m, d) from the constructor or from `fit`, checked against the source."""
        from sklearn.utils.validation import check_array, validate_data

        target = complete("the target", y if self.target is None else self.target)
        width, name = self.n_features_in_, type(self).__name__
        if np.ndim(target) != 2:
            raise UsageError(
                f"{name} needs the target's rows (m, {width}), got {'none' if target is None else np.shape(target)}; "
                f"write fit(X_source, X_target), or {name}(target=X_target) in a pipeline"
            )
        if self.target is not None and np.ndim(y) == 2 and np.shape(y)[1] == width:
            raise UsageError(f"{name} got a target twice, in the constructor and in fit; give it once")
        if np.shape(target)[1] != width:
            raise DataError(
                f"source rows have {width} columns, target rows {np.shape(target)[1]}; give both the same features"
            )
        try:
            rows = check_array(target, dtype=np.float64, ensure_min_samples=2, input_name="target")
            validate_data(self, target, reset=False, skip_check_array=True)  # names of columns, in their order
        except (TypeError, ValueError) as error:
            raise data_error(error, "target:") from error
        return rows


def class_codes(name: str, labels: Any, rows: int) -> np.ndarray:
    """(rows,) codes 0 ... C - 1 of the classes of source rows.

    Raises:
        UsageError: no labels. DataError: of another number, one that is missing, fewer than two classes.
    """
    if labels is None:
        raise UsageError(
            f"{name} reads the classes of source rows; write fit(X_source, X_target, labels=y), or "
            f"{name}(target=X_target) in a pipeline"
        )
    labels = np.asarray(labels, dtype=object)
    if labels.shape != (rows,):
        raise DataError(f"{name} got labels of shape {labels.shape} for {rows} source rows; give one a row")
    missing = np.flatnonzero([is_missing(value) for value in labels])
    if len(missing):
        raise DataError(f"{name}: row {missing[0]} of the source has no label; leave rows without one out")
    codes = np.unique([class_name(value) for value in labels], return_inverse=True)[1]
    if codes.max() == 0:
        raise DataError(f"{name} got one class, {labels[0]!r:.40}; two are needed")
    return codes


def standardised(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(z, mean, deviation) of rows (n, d); z has mean 0 and variance 1, a constant column z and deviation 0."""
    mean = rows.mean(0)
    z = rows - mean
    deviation = z.std(0, ddof=1)
    deviation[deviation <= 8 * EPS * np.abs(mean)] = 0  # no more than the rounding of its numbers
    z *= inverse(deviation)
    return z, mean, deviation


def inverse(scale: np.ndarray) -> np.ndarray:
    """1 / scale, 0 where that is 0."""
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)


def signs(weights: np.ndarray) -> np.ndarray:
    """(k,) of 1 and -1 that make the largest entry of each column of weights (d, k) positive."""
    largest = np.take_along_axis(weights, np.abs(weights).argmax(0)[None], axis=0)[0]
    return np.where(largest < 0, -1.0, 1.0)
