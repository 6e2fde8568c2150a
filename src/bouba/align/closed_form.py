"""What the methods that are solved rather than trained share: reading views of any container, and giving them back."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from itertools import combinations
from pathlib import Path
from typing import Any, final

import numpy as np

from bouba import persist
from bouba.align.blocks import FLOATS, Blocks, Numbers, accepted_sparse, are_arrays, present_rows, spread
from bouba.align.cells import Cells
from bouba.align.features import SimpleFeatures
from bouba.align.maps import pearson
from bouba.align.readout import ReadsOut
from bouba.data import scratch
from bouba.data.alphabet import text_view
from bouba.data.arrays import column_names, complete, data_error, is_sparse
from bouba.data.matching import views_like
from bouba.data.pairing import in_order, index_of
from bouba.data.read import as_views
from bouba.data.schema import Schema
from bouba.data.target import Target, hide
from bouba.data.vectors import finite_rows
from bouba.data.views import Column, Views
from bouba.declared import refuse_options
from bouba.errors import BoubaError, DataError, ModalityError, UsageError
from bouba.estimator import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, check_is_fitted
from bouba.hooks import hook


class ClosedForm(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A method that is solved instead of trained.

    Views come in any of four containers, and `transform` gives back the one that it got:

        X, y                2-D array, and the second view as y ("view0", "view1"); gives (n, k) of view0
        [X, Y, ...]         arrays or frames, "view0", "view1", ...; None for a view that is not given
        {"a": X, "b": Y}    the same by name
        Views               pictures and texts pass through SimpleFeatures, or a frozen encoder where the method takes
                            `towers`; vectors are taken as they are; so does whatever `bouba.read` takes

    Rows of frames are paired by their index, in the order of the first; arrays go by place. Columns of frames are
    matched by name with those that were fitted; beside y, as scikit-learn does: refused in another order. Missing are
    cells that Views lack, rows that one of several frames lacks, which is warned of, and rows with masked numbers; NaN
    is refused. scikit-learn splits Views and X, y for cross-validation, no list and no mapping. With a list, mapping or
    Views, a 1-D y is for a later step of a pipeline, and not read.

    A method is `_fit` and `_project`. `_fit` sets attributes that end in "_", `correlations_` (k,) among them; all
    of them are saved.
    """

    compared_by = "cosine"
    towers: Mapping[str, Any] | None = None  # view -> frozen encoder, of methods that take them
    device: str = "auto"  # where these run
    schema_: Schema | None = None
    readout_: ReadsOut | None = None  # of linear methods
    aligns, fuses, predicts, reconstructs, translates, generates = True, False, False, False, False, False

    @property
    def searchable(self) -> tuple[str, ...]:
        """The views by which rows can be found."""
        return tuple(self.kinds_)

    @abstractmethod
    def _fit(self, data: dict[str, Any], present: dict[str, np.ndarray]) -> None:
        """Solve. `data` and `present` as in Blocks."""

    @abstractmethod
    def _project(self, name: str, values) -> np.ndarray:
        """Rows of one view that are present -> variates (n, k)."""

    @abstractmethod
    def _features(self) -> SimpleFeatures:
        """The features that pictures and texts are turned into."""

    @abstractmethod
    def _emphasis(self, name: str) -> np.ndarray:
        """(k,) what each variate of a view weighs when embeddings are compared."""

    @hook
    def _fit_blocks(self, blocks: Blocks) -> None:
        """`_fit`, where the method also reads the domain or the key of rows."""
        self._fit(blocks.data, blocks.present)

    @hook
    def _project_of(self, blocks: Blocks, name: str) -> np.ndarray:
        """`_project`, where the method also reads the domain of rows."""
        return self._project(name, present_rows(blocks.data[name], blocks.present[name]))

    @hook
    def hub_offsets(self, z: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """view -> (n,), twice what a cell loses of its score for being near to everything; empty where none does."""
        return {}

    @hook
    def _before_fit(self) -> None:
        """Keep what the next solution starts from, before the last is forgotten. Nothing by default."""

    @hook
    def _read_out(self, blocks: Blocks) -> None:
        """Keep what needs the rows once more when the solution is known. Nothing by default."""

    @hook
    def _after_fit(self) -> None:
        """Drop what only solving needed, whether it worked or not. Nothing by default."""

    @final
    def fit(self, X, y=None, *, target: Target | None = None):
        """Solve for X's views.

        Args:
            X: the views, see the class. y: the second view where X is one array, (n, d) or (n,).
            target: a domain of Views whose texts, pairings and keys stay hidden; its other cells are rows of one view.

        Returns:
            self.

        Raises:
            DataError: fewer than two views or rows, unequal rows, NaN, a view without a cell.
        """
        refuse_options(self)
        if target is not None:
            X = hide(as_views(X, every_row=True), target)[0]
        self._before_fit()
        try:
            blocks = self._read(X, y, fit=True)
            if len(blocks) < 2:
                raise DataError(f"{type(self).__name__} needs two rows or more, got 1 sample")
            self._fit_blocks(blocks)
            self._read_out(blocks)
        except (ValueError, np.linalg.LinAlgError) as error:
            if isinstance(error, BoubaError):
                raise
            raise DataError(f"these numbers cannot be solved for: {error}; scale columns to about 1") from error
        finally:
            self._after_fit()
        return self

    def transform(self, X):
        """Variates of the views in X, any of the fitted ones; missing cells give zeros, or stay missing in Views.

        Raises:
            ModalityError: a view that was not fitted. DataError: another width, NaN.
        """
        check_is_fitted(self)
        blocks = self._read(X)
        return blocks.back({name: self._variates(blocks, name) for name in blocks.data})

    def embed(self, X) -> dict[str, np.ndarray]:
        """view -> float32 (n, k), to be compared by cosine: variates weigh as much as they correlate.

        Raises:
            DataError: numbers so large or so small that their embedding is infinite or undefined.
        """
        check_is_fitted(self)
        blocks = self._read(X)
        return {name: self._embedded(name, self._variates(blocks, name)) for name in blocks.data}

    def _embedded(self, name: str, variates: np.ndarray) -> np.ndarray:
        """float32 (n, k), variates by their emphasis."""
        emphasis = self._emphasis(name)
        z = scratch.zeros((len(variates), len(emphasis)), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # refused by name
            for at in scratch.blocks(len(z), variates.itemsize * len(emphasis)):
                z[at] = variates[at] * emphasis
        if not finite_rows(z).all():
            raise DataError(
                f"view {name!r} holds numbers that its embedding cannot be computed of; scale its columns to a "
                "deviation of about 1 and fit again"
            )
        return z

    def encode(self, X) -> dict[str, np.ndarray]:
        """view -> (n, d), what features or encoders give of its cells before they are aligned; zeros where missing."""
        check_is_fitted(self)
        return self._read(X).data

    def correlations(self, X, y=None) -> np.ndarray:
        """(k,) Pearson correlations between the variates of X's views, averaged over pairs of views.

        On rows that were not fitted on, this is what the correlations are worth. 0 where a variate is constant.
        """
        check_is_fitted(self)
        blocks = self._read(X, y)
        z = {name: self._variates(blocks, name) for name in blocks.data}
        pairs = [(a, b, blocks.present[a] & blocks.present[b]) for a, b in combinations(z, 2)]
        correlations = [pearson(z[a][both], z[b][both]) for a, b, both in pairs if both.sum() > 1]
        if not correlations:
            raise UsageError(f"correlations need two rows with two views or more, got views {', '.join(z)}")
        return np.mean(correlations, axis=0)

    def score(self, X, y=None) -> float:
        """Mean of `correlations(X, y)` over the components."""
        return float(np.mean(self.correlations(X, y)))

    def text_view(self, text: str) -> str:
        """The text view whose training texts share most of this text's characters: its language, in effect."""
        check_is_fitted(self)
        return text_view(text, self.alphabets_, self.kinds_)

    def save(self, path: str | Path) -> None:
        """Write the model as a folder of JSON and safetensors; `bouba.load` restores it to the bit."""
        check_is_fitted(self)
        lazy = [n for cls in type(self).__mro__ for n, of in vars(cls).items() if isinstance(of, cached_property)]
        fitted, arrays = persist.pack({name: getattr(self, name) for name in _fitted([*vars(self), *lazy])})
        facts = {"class": persist.name_of(type(self)), "arguments": persist.arguments_of(self), "fitted": fitted}
        persist.write_model(Path(path), facts, arrays)

    def _restore(self, facts: dict, file: Path, custom: Sequence[type]) -> None:
        """Become the fitted model that `save` wrote."""
        persist.restore_attributes(self, facts, file, custom)
        known = [self.kinds_, self.widths_, self.reducers_]
        if not all(isinstance(each, dict) and each.keys() == self.kinds_.keys() for each in known):
            raise DataError("what is known of its views does not fit together")

    @property
    def _n_features_out(self) -> int:
        return len(self.correlations_)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "correlations_")  # a fit that failed leaves the views' names, but no answer

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True  # one array has no correspondence to learn
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _variates(self, blocks: Blocks, name: str) -> np.ndarray:
        present = blocks.present[name]
        if not present.any():
            return np.zeros((len(blocks), len(self.correlations_)))
        return spread(self._project_of(blocks, name), present)

    def _read(self, X, y=None, *, fit: bool = False) -> Blocks:
        """Views in any container as numbers. When fitting, all fitted attributes are deleted first."""
        if fit:
            for name in _fitted(vars(self)):
                delattr(self, name)
            self.kinds_: dict[str, str] = {}
            self.widths_: dict[str, int] = {}
            self.reducers_: dict[str, Any] = {}
            self.alphabets_: dict[str, str] = {}
        if are_arrays(X):
            blocks = self._read_arrays(X, y, fit)
        elif self._is_one_array(X, y):
            blocks = self._read_array(X, y, fit)
        else:
            views = as_views(X, every_row=True) if fit else views_like(X, self.schema_)
            if fit and self.towers:
                from bouba.learner.building import specs_of  # which imports torch

                specs_of(self.towers, views.modalities)
            self.schema_ = Schema.of(views) if fit else self.schema_
            blocks = self._read_views(views, y, fit)
        self._refuse_misfit(blocks, fit)
        return blocks

    def _is_one_array(self, X, y) -> bool:
        if isinstance(X, Views | Mapping | str | os.PathLike) and not is_sparse(X):
            return False
        plain = isinstance(X, np.ndarray | list | tuple) or is_sparse(X)
        return plain or y is not None or "n_features_in_" in vars(self)  # a frame with y is numbers, alone a table

    def _read_array(self, X, y, fit: bool) -> Blocks:
        """One array, and the second view as y."""
        if fit and y is None:
            raise DataError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: "
                "y is the second view; or give the views as [X, Y], by name or as Views"
            )
        if not fit and "n_features_in_" not in vars(self):
            raise ModalityError(f"which view is this array? The model has {self._view_names()}; give {{name: array}}")
        from sklearn.utils.validation import check_array, validate_data

        accepts = accepted_sparse(self)
        y = in_order("y", y, index_of(X))
        named = {"view0": column_names("X", X), "view1": column_names("y", y)}
        try:
            X = validate_data(self, complete("X", X), reset=fit, dtype=FLOATS, accept_sparse=accepts)
            data = {"view0": X}
            if y is not None:
                y = check_array(complete("y", y), ensure_2d=False, dtype=FLOATS, accept_sparse=accepts, input_name="y")
                data["view1"] = y if y.ndim == 2 else y.reshape(-1, 1)
        except (TypeError, ValueError) as error:
            raise data_error(error) from error
        read = Numbers(data, {name: np.ones(values.shape[0], bool) for name, values in data.items()}, named)
        return self._array_blocks(read, fit, lambda z: z["view0"])

    def _read_arrays(self, X, y, fit: bool) -> Blocks:
        """Arrays in a list or a mapping."""
        _refuse_second_view(y)
        by_name = X if isinstance(X, Mapping) else {f"view{i}": values for i, values in enumerate(X)}
        numbers = Numbers.of(
            {name: values for name, values in by_name.items() if values is not None}, accepted_sparse(self)
        )
        return self._array_blocks(
            numbers, fit, dict if isinstance(X, Mapping) else lambda z: [z.get(name) for name in by_name]
        )

    def _array_blocks(self, numbers: Numbers, fit: bool, back) -> Blocks:
        """Arrays, their columns matched by name with those that were fitted."""
        if fit:
            self.schema_ = numbers.schema()
        data, cells = {}, self._reader(fit)
        for name, values in numbers.like(self.schema_).items():
            self._refuse_unknown(name, "vector", fit)
            data[name] = cells.vectors(name, values, numbers.present[name])
        return Blocks(data, numbers.present, back, numbers.row_names)

    def _read_views(self, views: Views, y, fit: bool) -> Blocks:
        _refuse_second_view(y)
        data, cells = {}, self._reader(fit)
        for name, column in views.columns.items():
            self._refuse_unknown(name, column.kind, fit)
            data[name] = cells.numbers(name, column)
        present = views.present

        def back(z: dict[str, np.ndarray]) -> Views:
            return views.replace(columns={name: Column.of(z[name], "vector", present[name]) for name in z})

        return Blocks(data, present, back, views.row_names, views)

    def _reader(self, fit: bool) -> Cells:
        """What reads the cells of views, and learns how to when fitting."""
        seed = getattr(self, "random_state", 0)
        seed = seed if isinstance(seed, int) else 0
        known = self.reducers_, self.alphabets_, self.widths_, self._features() if fit else None
        return Cells(*known, self.towers or {}, seed, self.device, partial(accepted_sparse, self))

    def _refuse_unknown(self, name: str, kind: str, fit: bool) -> None:
        if fit:
            self.kinds_[name], self.reducers_[name] = kind, None
        elif self.kinds_.get(name) != kind:
            raise ModalityError(f"the model has no view {name!r} ({kind}); it has {self._view_names()}")

    def _refuse_misfit(self, blocks: Blocks, fit: bool) -> None:
        """DataError for views that do not fit together, or not to those that were fitted."""
        rows = [values.shape[0] for values in blocks.data.values()]
        if fit and len(rows) < 2:
            names = ", ".join(map(repr, blocks.data))
            raise DataError(f"{type(self).__name__} needs two views or more, got {len(rows)} ({names})")
        if len(set(rows)) > 1:
            raise DataError(f"views have {rows} rows; {type(self).__name__} pairs them row by row")
        widths = {name: values.shape[1] for name, values in blocks.data.items()}
        self.widths_ = widths if fit else self.widths_
        for name, width in widths.items():
            if width != self.widths_[name]:
                raise DataError(f"view {name!r} has {width} columns, the model was fitted on {self.widths_[name]}")

    def _view_names(self) -> str:
        return ", ".join(f"{name} ({kind})" for name, kind in self.kinds_.items())


def _fitted(names) -> list[str]:
    return [name for name in names if name.endswith("_") and not name.startswith("_")]


def _refuse_second_view(y) -> None:
    if y is not None and np.ndim(y) > 1:
        raise UsageError("y is a second view only beside one array; put it among the views instead")
