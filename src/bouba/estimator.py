"""The base classes of scikit-learn that estimators stand on, taken on when scikit-learn is imported, by whomever.

Importing `sklearn.base` costs about as much as importing torch, and what a fitted model answers needs nothing of it. So
estimators derive from the classes here, which are all but empty at first. As soon as `sklearn.base` has been imported,
by you or by the first call that needs it, its own classes are their bases: nobody who can ask
`isinstance(model, sklearn.base.BaseEstimator)` hears no.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator as BaseEstimator
    from sklearn.base import ClassifierMixin as ClassifierMixin
    from sklearn.base import ClassNamePrefixFeaturesOutMixin as ClassNamePrefixFeaturesOutMixin
    from sklearn.base import OneToOneFeatureMixin as OneToOneFeatureMixin
    from sklearn.base import TransformerMixin as TransformerMixin
else:

    class Late:
        """A base of classes whose bases change: those of `object` itself cannot."""

    class TransformerMixin(Late):
        pass

    class ClassifierMixin(Late):
        pass

    class OneToOneFeatureMixin(Late):
        pass

    class ClassNamePrefixFeaturesOutMixin(Late):
        pass

    class StandIn(Late):
        """What is needed to load and to use a fitted model; whatever else is asked for imports scikit-learn."""

        @classmethod
        def _get_param_names(cls) -> list[str]:
            parameters = inspect.signature(cls.__init__).parameters.values()
            return sorted(p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD)

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            if deep:
                return _of_sklearn(self, "get_params")()
            return {name: getattr(self, name) for name in self._get_param_names()}

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_repr_") or not (name.startswith("_") or name.endswith("_")):
                return _of_sklearn(self, name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

        def __dir__(self) -> list[str]:
            return _of_sklearn(self, "__dir__")()

        def __repr__(self) -> str:
            return _of_sklearn(self, "__repr__")()

    class BaseEstimator(StandIn):
        pass

    LATE = (TransformerMixin, ClassifierMixin, OneToOneFeatureMixin, ClassNamePrefixFeaturesOutMixin, BaseEstimator)

    def _of_sklearn(estimator: Any, name: str) -> Any:
        importlib.import_module("sklearn.base")
        return getattr(estimator, name)

    def _take_on(base: Any) -> None:
        """Make each estimator what it would be had it been defined with the classes of `sklearn.base`."""
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Announced)]
        real = {late: getattr(base, late.__name__) for late in LATE}
        estimators = dict.fromkeys(each for late in LATE for each in _descendants(late))
        for estimator in estimators:
            estimator.__bases__ = tuple(real.get(each, each) for each in estimator.__bases__)
        for estimator in estimators:
            super(estimator, estimator).__init_subclass__()
        globals().update({late.__name__: cls for late, cls in real.items()})  # for those to come

    def _descendants(cls: type) -> list[type]:
        """Subclasses, parents before children."""
        return [each for child in cls.__subclasses__() for each in (child, *_descendants(child))]

    class Announced(MetaPathFinder):
        """Finds nothing of its own; of `sklearn.base` it says when it has been imported."""

        def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
            if name != "sklearn.base":
                return None
            others = (finder for finder in sys.meta_path if finder is not self)
            spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
            loader: Any = None if spec is None else spec.loader
            if loader is not None:
                execute = loader.exec_module
                loader.exec_module = lambda module: (execute(module), _take_on(module))
            return spec

    if "sklearn.base" in sys.modules:
        _take_on(importlib.import_module("sklearn.base"))  # which another thread may be importing
    else:
        sys.meta_path.insert(0, Announced())


def check_is_fitted(model: Any, attribute: str | None = None) -> None:
    """scikit-learn's function of that name, which is imported only to raise.

    Args:
        model: an estimator. attribute: that a fitted one has; None for one that says by itself whether it is.

    Raises:
        NotFittedError: `fit` has not been called, or failed.
    """
    if not (hasattr(model, attribute) if attribute is not None else model.__sklearn_is_fitted__()):
        from sklearn.utils.validation import check_is_fitted as refuse

        refuse(model, attribute)
