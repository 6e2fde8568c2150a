"""One view from another: what every translator shares."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from bouba.data.read import as_views
from bouba.data.views import Views
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.learner.base import DEFAULT_TOWERS, BaseLearner
from bouba.terms.across import condition
from bouba.terms.regression import Regression
from bouba.terms.term import Objective, Term
from bouba.towers import MLP, ConvNet, EncoderSpec, SameAs

if TYPE_CHECKING:
    from torch import Tensor

    from bouba.batch import Batch


class Translator(BaseLearner):
    """Learns to give one view of a row from another. A method says by which objective, and how items are drawn.

    Args:
        source: the view that is told. target: the view to be given: pictures or vectors, or whatever encoder has a raw
            form. None: the first and the last view of what it is fitted on.
        towers: view -> encoder; the source's is trained, the target's says what is given back: of pictures a side of
            `ConvNet(thumbnail=...)`. When None, a default for the source's kind, and pictures of `side`.
        raw: tell the source's raw numbers instead of its embedding.
        side: of the pictures that are given, in pixels; where `towers` names the target it is not read.
        **training: dim (of the embedding that is told), epochs, batch_size, lr, weight_decay, random_state, verbose;
            see Learner.
    """

    aligns: ClassVar[bool] = False
    translates: ClassVar[bool] = True
    saves: ClassVar[tuple[str, ...]] = ("source_", "target_")
    components: ClassVar[int | None] = 128
    """Numbers that a picture is given in by default: all its pixels are learnt more slowly, and look noisier."""

    def __init__(
        self,
        source: str | None = None,
        target: str | None = None,
        *,
        towers: Mapping[str, EncoderSpec] | None = None,
        raw: bool = False,
        side: int = 32,
        **training,
    ):
        super().__init__(towers, **training)
        self.source = source
        self.target = target
        self.raw = raw
        self.side = side

    def fit(self, X, y=None, **options):
        """Train on the rows that have source and target; `options` as in Learner.fit.

        Raises:
            ModalityError: no such view. DataError: fewer than two rows that have both.
        """
        views = as_views(X)
        kinds = views.modalities
        self.source_ = next(iter(kinds)) if self.source is None else self.source
        self.target_ = list(kinds)[-1] if self.target is None else self.target
        for name in (self.source_, self.target_):
            if name not in kinds:
                raise ModalityError(f"no view {name!r}{nearest(name, kinds)}")
        if (pairs := int(self._both(views).sum())) < 2:
            raise DataError(f"translation learns from rows with {self.source_!r} and {self.target_!r}, got {pairs}")
        return super().fit(views, y, **options)

    def _beside_regression(self, drawing: Term, *, hidden: int, depth: int = 1) -> Objective:
        """What draws, and a regression that teaches the tower of the source; with `raw` there is none to teach."""
        alone = Objective.of(drawing)
        return alone if self.raw else alone + Regression(self.source_, self.target_, hidden=hidden, depth=depth)

    @property
    def searchable(self) -> tuple[str, ...]:
        """The source, whose tower has learnt; no view where it is told raw."""
        return () if self.raw else (self.source_,)

    @abstractmethod
    def _draw(self, c: Tensor, n: int) -> Tensor:
        """n raw items for each condition c (B, d): (B, n, p). Uses torch's generator."""

    def translate(self, X, n: int = 1, *, random_state: int = 0) -> np.ndarray:
        """Items of the target for each row's source.

        Args:
            X: rows that have the source; other views are not read.
            n: items a row.
            random_state: of what is drawn.

        Returns:
            (rows, n, ...): vectors in their own unit, pictures as uint8 (rows, n, side, side, 3).

        Raises:
            DataError: a row without the source. ModalityError: X without the source. UsageError: n below 1.
        """
        views = as_views(X)
        drawn = self._drawn(views, n, random_state)  # (rows, n, p)
        items = self._encoders()[self.target_].restore(drawn.reshape(len(views) * n, -1))
        return items.reshape(len(views), n, *items.shape[1:])

    def _drawn(self, views: Views, n: int, random_state: int) -> np.ndarray:
        """Raw items, (rows, n, p)."""
        import torch

        check_is_fitted(self, "module_")
        if n < 1:
            raise UsageError(f"n is how many items a row, 1 or more, got {n}")
        asked = self._having(views, self.source_)
        forward = lambda batch: {"": self._draw(self._condition(batch), n)}  # noqa: E731
        with torch.random.fork_rng():
            torch.manual_seed(random_state)
            return self._run(asked, forward)[""]

    def _having(self, views: Views, name: str) -> Views:
        """One view of rows that all have it. ModalityError or DataError otherwise."""
        if name not in views.columns:
            raise ModalityError(f"a translation needs view {name!r}, got {', '.join(map(repr, views.columns))}")
        present = views[name].present
        if not len(views):
            raise DataError("a translation needs rows, got none")
        if not present.all():
            raise DataError(
                f"{int((~present).sum())} of {len(views)} rows lack {name!r}, first row "
                f"{views.rows[int((~present).argmax())]}; leave them out: views[rows]"
            )
        return views.select(name)

    def truth(self, X) -> np.ndarray:
        """The target of X's rows in the form that `translate` gives, (rows, ...): pictures scaled to its side, with all
        their pixels also where components are given.

        Raises:
            DataError: a row without the target. ModalityError: X without the target.
        """
        check_is_fitted(self, "module_")
        encoder = self._encoders()[self.target_]
        asked = self._having(as_views(X), self.target_)
        items = self._run(asked, lambda batch: {"": encoder.shown(batch.inputs[self.target_])})[""]
        return items.astype(np.uint8) if self.kinds_[self.target_] in ("image", "video") else items

    def _raw_of(self, name: str, views: Views) -> np.ndarray:
        """What a decoder of a view must give back, (rows, p)."""
        check_is_fitted(self, "module_")
        encoder = self._encoders()[name]
        return self._run(self._having(views, name), lambda batch: {"": encoder.raw(batch.inputs[name])})[""]

    def _condition(self, batch: Batch) -> Tensor:
        """What a generator is told of a batch, (B, d)."""
        if self.raw:
            return condition(self._encoders()[self.source_].raw(batch.inputs[self.source_]), raw=True)
        return condition(self.module_.embed_view(self.source_, batch), raw=False)

    def _both(self, views: Views) -> np.ndarray:
        """bool (rows,), True where a row has source and target."""
        return views.present[self.source_] & views.present[self.target_]

    def _state(self):
        """What the method's one term has learnt."""
        return self.module_.state[0]  # type: ignore[index]

    def _specs(self, views: Views) -> dict[str, EncoderSpec | SameAs]:
        """Towers of source and target alone; the target's is never trained, so it is small."""
        given, kinds = dict(self.towers or {}), views.modalities
        specs = {}
        for name in dict.fromkeys((self.source_, self.target_)):
            spec = given.pop(name, None) or self._usual(name, kinds[name])
            specs[name] = self._fitting(name, spec, kinds)
        if given:
            raise ModalityError(f"a tower for {next(iter(given))!r}, which is neither {' nor '.join(map(repr, specs))}")
        return specs

    def _usual(self, name: str, kind: str) -> EncoderSpec:
        if name == self.target_ and kind == "image":
            return ConvNet(size=self.side, thumbnail=self.side, channels=1, augment=None, components=self.components)
        if name == self.target_ and kind == "vector":
            return MLP(())
        return DEFAULT_TOWERS[kind]()

    def score(self, X, y=None) -> float:
        """Minus the mean squared error of one draw a row, in the target's raw unit, 1 being about its deviation.

        It rewards the mean of all that is possible: draws that vary as they should cost twice as much. Judge those by
        `bouba.metrics`: r_precision, frechet_distance, diversity.
        """
        views = as_views(X)
        views = views[self._both(views)]
        return -float(np.square(self._drawn(views, 1, 0)[:, 0] - self._raw_of(self.target_, views)).mean())
