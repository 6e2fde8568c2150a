"""One view from another: what every translator shares."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bouba.data.views import Views
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.learner.base import BaseLearner
from bouba.learner.building import DEFAULT_TOWERS, spec_for
from bouba.learner.training_data import TrainingData
from bouba.terms.across import condition
from bouba.terms.regression import Regression
from bouba.terms.term import Objective, Term
from bouba.towers import MLP, ConvNet, EncoderSpec

if TYPE_CHECKING:
    from torch import Tensor

    from bouba.batch import Batch


class Translator(BaseLearner):
    """Learns to generate one view of a row from another. A method is an objective and a way to draw items.

    Args:
        source: the view to translate from. target: the view to translate into: pictures or vectors, or whatever encoder
            has a raw form. None: the first and the last view of what it is fitted on.
        towers: view -> encoder; the source's is trained, the target's sets the form of the items: of pictures a side of
            `ConvNet(thumbnail=...)`. When None, a default for the source's kind, and pictures of `side`.
        raw: condition on the source's raw numbers instead of its embedding.
        side: of the generated pictures, in pixels; where `towers` names the target it is not read.
        **training: dim (of the source's embedding), epochs, batch_size, lr, weight_decay, random_state, verbose;
            see Learner.
    """

    aligns: ClassVar[bool] = False
    translates: ClassVar[bool] = True
    saves: ClassVar[tuple[str, ...]] = ("source_", "target_")
    components: ClassVar[int | None] = 128
    """Principal components of a generated picture by default; pixels train more slowly and look noisier."""

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

    def _prepare(self, data: TrainingData) -> TrainingData:
        """Names source and target, of which some rows must have both.

        Raises:
            ModalityError: no such view. DataError: fewer than two rows that have both.
        """
        kinds = data.views.modalities
        self.source_ = next(iter(kinds)) if self.source is None else self.source
        self.target_ = list(kinds)[-1] if self.target is None else self.target
        for name in (self.source_, self.target_):
            if name not in kinds:
                raise ModalityError(f"no view {name!r}{nearest(name, kinds)}")
        if (pairs := int(self._have_both(data.views).sum())) < 2:
            raise DataError(f"translation learns from rows with {self.source_!r} and {self.target_!r}, got {pairs}")
        return data

    def _with_regression(self, generator: Term, *, hidden: int, depth: int = 1) -> Objective:
        """The generator, and a regression that trains the tower of the source; with `raw` there is no tower."""
        objective = Objective.of(generator)
        return objective if self.raw else objective + Regression(self.source_, self.target_, hidden=hidden, depth=depth)

    def _learnt_views(self, views: tuple[str, ...]) -> tuple[str, ...]:
        """The source, whose tower is trained; no view where its raw numbers are read."""
        return () if self.raw else (self.source_,)

    @abstractmethod
    def _draw(self, batch: Batch, n: int) -> Tensor:
        """n raw items for each row of a batch that has the source: (B, n, p). Uses torch's generator."""

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
        views = self.read(X)
        drawn = self._drawn(views, n, random_state)  # (rows, n, p)
        items = self._encoders()[self.target_].restore(drawn.reshape(len(views) * n, -1))
        return items.reshape(len(views), n, *items.shape[1:])

    def _drawn(self, views: Views, n: int, random_state: int) -> np.ndarray:
        """Raw items, (rows, n, p)."""
        import torch

        network = self._fitted()
        if n < 1:
            raise UsageError(f"n is how many items a row, 1 or more, got {n}")
        sources = self._complete(views, self.source_)
        with torch.random.fork_rng():
            torch.manual_seed(random_state)
            items = network.run(sources, lambda batch: {"": self._draw(batch, n)})[""]
        self._complete(sources, self.source_)  # a cell may have broken while it was decoded
        return items

    def _complete(self, views: Views, name: str) -> Views:
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
        their pixels also where components are generated.

        Raises:
            DataError: a row without the target. ModalityError: X without the target.
        """
        network = self._fitted()
        encoder, targets = network.encoders[self.target_], self._complete(self.read(X), self.target_)
        items = network.run(targets, lambda batch: {"": encoder.shown(batch.inputs[self.target_])})[""]
        self._complete(targets, self.target_)
        return items.astype(np.uint8) if self.kinds_[self.target_] in ("image", "video") else items

    def _raw_of(self, name: str, views: Views) -> np.ndarray:
        """What a decoder of a view must give back, (rows, p)."""
        network = self._fitted()
        encoder = network.encoders[name]
        return network.run(self._complete(views, name), lambda batch: {"": encoder.raw(batch.inputs[name])})[""]

    def _condition(self, batch: Batch) -> Tensor:
        """What a generator reads of a batch, (B, d): the embedding of the source, or its raw numbers."""
        if self.raw:
            return condition(self._encoders()[self.source_].raw(batch.inputs[self.source_]), raw=True)
        return condition(self.module_.embed_view(self.source_, batch), raw=False)

    def _have_both(self, views: Views) -> np.ndarray:
        """bool (rows,), True where a row has source and target."""
        return views.present[self.source_] & views.present[self.target_]

    def _state(self):
        """The trained state of the method's one term."""
        return self.module_.state[0]  # type: ignore[index]

    def _towers(self, towers: Mapping | None, kinds: Mapping[str, str]) -> Mapping:
        """Towers of source and target alone; the target's is never trained, so it is small."""
        others, specs = dict(towers or {}), {}
        for name in dict.fromkeys((self.source_, self.target_)):
            spec = others.pop(name, None)
            specs[name] = self._default_tower(name, kinds[name]) if spec is None else spec
            spec_for(name, specs[name], towers or {}, kinds)  # refuses SameAs of a view without a tower
        if others:
            raise ModalityError(
                f"a tower for {next(iter(others))!r}, which is neither {' nor '.join(map(repr, specs))}"
            )
        return specs

    def _default_tower(self, name: str, kind: str) -> EncoderSpec:
        if name == self.target_ and kind == "image":
            return ConvNet(size=self.side, thumbnail=self.side, channels=1, augment=None, components=self.components)
        if name == self.target_ and kind == "vector":
            return MLP(())
        return DEFAULT_TOWERS[kind]()

    def _own_score(self, views: Views, y) -> float:
        """Minus the mean squared error of one draw a row, in the target's raw unit, 1 being about its deviation."""
        views = views[self._have_both(views)]
        return -float(np.square(self._drawn(views, 1, 0)[:, 0] - self._raw_of(self.target_, views)).mean())
