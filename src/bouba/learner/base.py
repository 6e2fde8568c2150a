"""The joint between scikit-learn estimators above and torch modules below."""

from __future__ import annotations

import contextlib
import inspect
import zlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from bouba import persist
from bouba.data.alphabet import alphabet, text_view
from bouba.data.loader import Codes, Rows, Shuffled, holds_numbers, loader
from bouba.data.read import as_views
from bouba.data.split import split
from bouba.data.target import Target, hide, source_only
from bouba.data.views import Views
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.learner.runs import Runs
from bouba.metrics import mean_reciprocal_rank
from bouba.nn.fusion import Fusion
from bouba.nn.gather import rank, world_size
from bouba.nn.temperature import Temperature
from bouba.terms.term import Objective, Space
from bouba.towers import CRNN, MLP, ConvNet, EncoderSpec, Frames, NGrams, SameAs, Tabular, Tower
from bouba.train import Network, Schedule, accelerator, train
from bouba.train.progress import progress_bar

DEFAULT_TOWERS: dict[str, Callable[[], EncoderSpec]] = {
    "image": ConvNet,
    "text": NGrams,
    "vector": MLP,
    "audio": CRNN,
    "video": Frames,
    "table": Tabular,
}


class BaseLearner(Runs, TransformerMixin, BaseEstimator):
    """What every method that is trained shares. A method says which objective; see Learner for the arguments."""

    aligns: ClassVar[bool] = True
    """Whether the views share one space, so that one can be found by another."""

    predicts: ClassVar[bool] = False
    """Whether it predicts label columns: `outputs`, `classes`."""

    reconstructs: ClassVar[bool] = False
    """Whether it gives its views back: `explained`."""

    translates: ClassVar[bool] = False
    """Whether it makes one view from another: `translate`, `truth`."""

    saves: ClassVar[tuple[str, ...]] = ()
    """Fitted attributes, plain values, that a method saves besides those that all have."""

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        fusion: Fusion | None = None,
        dim: int = 128,
        epochs: int = 30,
        batch_size: int | None = None,
        lr: float = 2e-3,
        weight_decay: float = 0.05,
        patience: int | None = None,
        chunk_size: int | None = None,
        domain_norm: bool = True,
        random_state: int = 0,
        verbose: bool = False,
    ):
        self.towers = towers
        self.fusion = fusion
        self.dim = dim
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.patience = patience
        self.chunk_size = chunk_size
        self.domain_norm = domain_norm
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def _get_param_names(cls) -> list[str]:
        """A method's own arguments and those of its bases, which its constructor forwards by name."""
        bases = [base for base in cls.__mro__ if issubclass(base, BaseLearner) and "__init__" in vars(base)]
        known = {p.name: p for base in bases for p in inspect.signature(base.__init__).parameters.values()}
        return sorted(name for name, p in known.items() if name != "self" and p.kind is not p.VAR_KEYWORD)

    @abstractmethod
    def _objective(self) -> Objective:
        """What is minimised."""

    def _numbers(self, views: Views) -> list[str]:
        """The label columns that say how much, not which."""
        return [name for name, values in views.y.items() if holds_numbers(values)]

    def _batch_size(self, rows: int) -> int:
        """Rows of a step, of so many source rows in all."""
        return min(rows, self.batch_size or min(256, max(32, rows // 8)))

    def _finish(self, views: Views) -> None:
        """What a method does to `module_` once it is trained, given the source rows. Nothing by default."""

    def fit(
        self,
        X,
        y=None,
        *,
        validation: float | Views | None = None,
        target: Target | None = None,
        folder: str | Path | None = None,
        resume: bool = False,
        on_epoch: Callable[[dict], None] | None = None,
    ):
        """Train on Views, or on anything `bouba.read` takes.

        Args:
            X: n rows, some cells missing.
            y: (n,) labels for terms that use them, as label column "y"; labels may also come in the Views.
            validation: Views, or the share of keys to hold out; the best weights on it are kept. Rows of the
                target do not judge.
            target: the domain whose labels, captions and pairings are hidden (data/target.py); its other cells
                train terms that need no pairs.
            folder: where checkpoints and history.jsonl go.
            resume: continue from the checkpoint in `folder`.
            on_epoch: called with every history row.

        Returns:
            self, with `module_`, `history_`, `specs_`, `codes_`.

        Raises:
            UsageError: data or arguments that do not fit together.
        """
        import torch

        self._refuse_odd(validation)
        views = as_views(X)
        if y is not None:
            views = views.replace(y={**views.y, "y": np.asarray(y)})
        held_out = validation if isinstance(validation, Views) else None
        if isinstance(validation, float):
            views, held_out = self._held_out(views, validation, target)
        is_target = np.zeros(len(views), bool)
        if target is not None:
            held_out = None if held_out is None else source_only(held_out, target)
            views, is_target = hide(views, target, random_state=self.random_state)
            if not self._objective().needs().unpaired:
                views, is_target = views[~is_target], is_target[~is_target]
        if held_out is not None and not len(held_out):
            raise DataError("validation has no rows; give it some, or a share of the training rows")
        judges = self._objective().judges()
        if held_out is not None and not judges.terms:  # every epoch would cost 0, and the first be kept
            raise UsageError(f"no term of {self._objective()!r} judges held-out rows; leave validation out")
        if held_out is not None and judges.needs().pairs:
            _refuse_unjudging(held_out)
        if len(views) < 2:
            raise DataError(f"training needs two rows or more, got {len(views)}")
        with torch.random.fork_rng():
            torch.manual_seed(self.random_state)
            self._build(views)
            self._train(views, is_target, held_out, Path(folder) if folder else None, resume, on_epoch)
            self._finish(views[~is_target])
        return self

    def _held_out(self, views: Views, share: float, target: Target | None) -> tuple[Views, Views]:
        """Rows to train on and to judge by; those of the target all train, so that no key of theirs is read."""
        source = views if target is None else source_only(views, target)
        parts = split(source, {"train": 1 - share, "held out": share}, random_state=self.random_state)
        taken = np.isin(views.rows, parts["held out"].rows)
        return views[~taken], parts["held out"]

    def _refuse_odd(self, validation) -> None:
        """Arguments that would be ignored in silence, or fail late."""
        if not (validation is None or isinstance(validation, float | Views)):
            raise UsageError(
                f"validation is a share like 0.2 or Views, got {validation!r}; read a file with bouba.read"
            )
        if self.patience is not None and validation is None:
            raise UsageError("patience needs validation, for example validation=0.2")
        if self.epochs < 1 or (self.batch_size is not None and self.batch_size < 2):
            raise UsageError(f"epochs must be 1 or more and batch_size 2, got {self.epochs} and {self.batch_size}")

    def _build(self, views: Views) -> None:
        """Encoders look at the training cells; then the network is made."""
        self.specs_ = self._specs(views)
        self.kinds_ = {name: views.modalities[name] for name in self.specs_}
        self.codes_ = Codes.of(views, self._numbers(views))
        self.learned_: dict[str, dict] = {}
        self.alphabets_ = {}
        for name, spec in self.specs_.items():
            column = views[name]
            cells = [column[row] for row in np.flatnonzero(column.present)]
            if not cells:
                raise DataError(f"view {name!r} has no cell in the training rows; leave it out or choose other rows")
            if isinstance(spec, EncoderSpec):
                self.learned_[name] = spec.learn(cells, random_state=self.random_state)
            if self.kinds_[name] == "text":
                self.alphabets_[name] = alphabet(cells)
        self._assemble()
        for name, spec in self.specs_.items():
            if isinstance(spec, EncoderSpec):
                spec.start(self._encoders()[name])

    def _assemble(self) -> None:
        domains = len(self.codes_.domains) if self.domain_norm else 0
        towers = {
            name: Tower(spec.build(self.learned_[name]), self.dim, domains=domains)
            for name, spec in self.specs_.items()
            if not isinstance(spec, SameAs)
        }
        towers = {name: towers[spec.view if isinstance(spec, SameAs) else name] for name, spec in self.specs_.items()}
        raw = {name: tower.encoder.raw_shape for name, tower in towers.items() if tower.encoder.raw_width}
        codes = self.codes_
        space = Space(
            dict.fromkeys(self.specs_, self.dim),
            codes.domains,
            codes.classes,
            raw,
            fused=None if self.fusion is None else self.dim,
            numbers=tuple(codes.numbers),
            shares=codes.shares,
        )
        self.module_ = Network(towers, self._objective(), space, fusion=self.fusion, chunk_size=self.chunk_size)
        learns = self.module_.fusion is not None and any(True for _ in self.module_.fusion.parameters())
        if learns and not self._objective().needs().fused:
            raise UsageError(f"nothing in {self._objective()!r} would teach {self.fusion!r}; leave fusion out")

    def _specs(self, views: Views) -> dict[str, EncoderSpec | SameAs]:
        """The encoders asked for, by view; or a default for each kind."""
        if self.towers is None:
            for name, kind in views.modalities.items():
                if kind not in DEFAULT_TOWERS:
                    raise UsageError(f"no default tower for {kind} (view {name!r}); give towers={{{name!r}: ...}}")
            return {name: DEFAULT_TOWERS[kind]() for name, kind in views.modalities.items()}
        unknown = next((name for name in self.towers if name not in views.modalities), None)
        if unknown is not None:
            raise ModalityError(f"a tower for {unknown!r}, but no such view{nearest(unknown, views.modalities)}")
        return {name: self._fitting(name, spec, views.modalities) for name, spec in self.towers.items()}

    def _fitting(self, name: str, spec: EncoderSpec | SameAs, kinds: Mapping[str, str]) -> EncoderSpec | SameAs:
        """The tower made for the kind of its view. UsageError for one that does not read it."""
        towers = self.towers or {}
        owner = towers.get(spec.view) if isinstance(spec, SameAs) else spec
        if isinstance(spec, SameAs) and (owner is None or isinstance(owner, SameAs)):
            own = [view for view, tower in towers.items() if not isinstance(tower, SameAs)]
            raise UsageError(f"{name!r} is SameAs({spec.view!r}), which has no tower of its own{nearest('', own)}")
        try:
            made = owner.on(kinds[name])  # type: ignore[union-attr]
        except UsageError as error:
            raise UsageError(f"view {name!r} is {kinds[name]}, {error}") from None
        return spec if isinstance(spec, SameAs) else made

    def _train(self, views, is_target, held_out, folder, resume, on_epoch) -> None:
        fabric = accelerator()  # first: it settles which process this is
        encoders = self._encoders()
        own = int((~is_target).sum())
        size = self._batch_size(own)
        sampler = Shuffled(
            len(views),
            size,
            seed=self.random_state,
            target=is_target,
            target_size=max(2, size // 2),
            rank=rank(),
            world=world_size(),
        )
        prepared = Rows(views, encoders, self.codes_)
        batches = loader(prepared, sampler)
        judged = None
        if held_out is not None:
            rows = Rows(held_out.select(*self.specs_), encoders, self.codes_)
            judged = loader(rows, list(np.array_split(np.arange(len(held_out)), -(-len(held_out) // 1024))))
        schedule = Schedule(self.epochs, self.lr, self.weight_decay, patience=self.patience)
        with progress_bar(type(self).__name__, self.epochs) if self.verbose else contextlib.nullcontext() as bar:

            def told(row: dict) -> None:
                for listener in (bar, on_epoch):
                    if listener is not None:
                        listener(row)

            self.history_ = train(
                fabric,
                self.module_,
                batches,
                schedule,
                validation=judged,
                folder=folder,
                resume=resume,
                fingerprint=f"{len(views)} rows, {size} a step, seed {self.random_state}, rows {_checksum(views.rows)}",
                on_epoch=told,
            )
        if self.codes_.domains:  # each was normalised by its own batch in training
            self.module_.measure_domains(prepared)

    @property
    def fuses(self) -> bool:
        """Whether the views of a row become one vector: `fuse`."""
        return self.fusion is not None

    @property
    def searchable(self) -> tuple[str, ...]:
        """The views by which rows can be found: those whose towers have learnt."""
        return tuple(self.kinds_)

    @property
    def compared_by(self) -> str:
        """How this model's embeddings are to be compared: what its contrastive term used, else cosine."""
        return self._objective().needs().similarity or "cosine"

    @property
    def temperature_(self) -> float | None:
        """What its first term with a temperature divides similarities by; None without one."""
        check_is_fitted(self, "module_")
        taus = [module for module in self.module_.state.modules() if isinstance(module, Temperature)]
        return float(taus[0]().detach()) if taus else None

    def score(self, X, y=None) -> float:
        """Mean reciprocal rank of the true partner among X's rows, averaged over every ordered pair of views."""
        views = as_views(X)
        return mean_reciprocal_rank(self.embed(views), views.present, views.things, similarity=self.compared_by)

    def text_view(self, text: str) -> str:
        """The text view whose training texts share most of this text's characters: its language, in effect."""
        check_is_fitted(self, "module_")
        return text_view(text, self.alphabets_, self.kinds_)

    def save(self, path: str | Path) -> None:
        """Write the model as a folder of JSON and safetensors; it loads on any machine."""
        check_is_fitted(self, "module_")
        facts = {
            "class": persist.name_of(type(self)),
            "arguments": {name: persist.describe(value) for name, value in self.get_params(deep=False).items()},
            "specs": {name: persist.describe(spec) for name, spec in self.specs_.items()},
            "kinds": self.kinds_,
            "learned": self.learned_,
            "alphabets": self.alphabets_,
            "codes": persist.describe(self.codes_),
            "history": self.history_,
            "more": {name: persist.describe(getattr(self, name)) for name in self.saves},
        }
        persist.write_model(Path(path), facts, self.module_.state_dict())

    def _restore(self, facts: dict, file: Path, custom: Sequence[type]) -> None:
        """Become the fitted model that `save` wrote."""
        self.specs_ = {name: persist.rebuild(spec, custom) for name, spec in facts["specs"].items()}
        self.kinds_, self.learned_, self.history_ = facts["kinds"], facts["learned"], facts["history"]
        self.alphabets_ = facts["alphabets"]
        self.codes_ = persist.rebuild(facts["codes"])
        for name, value in facts.get("more", {}).items():
            setattr(self, name, persist.rebuild(value, custom))
        self._assemble()
        self.module_.load_state_dict(persist.read_tensors(file))
        self.module_.eval()


def _refuse_unjudging(held_out: Views) -> None:
    """DataError where no two rows could be told apart, which would cost nothing and look perfect."""
    several = np.sum(list(held_out.present.values()), axis=0) > 1
    if len(held_out.columns) > 1 and several.sum() < 2:
        raise DataError(
            f"validation holds {int(several.sum())} rows with two views; two or more are needed: raise the share"
        )


def _checksum(rows: np.ndarray) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(rows).tobytes()):08x}"
