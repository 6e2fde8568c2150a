"""The estimator that every trained method is: arguments, one final `fit` with hooks, embeddings, saving."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, final

import numpy as np

from bouba import persist
from bouba.data.alphabet import text_view
from bouba.data.matching import views_like
from bouba.data.pairing import row_values
from bouba.data.schema import Schema
from bouba.data.target import Target
from bouba.data.views import Column, Views
from bouba.device import device_named, random_state_kept, running_on
from bouba.errors import UsageError
from bouba.estimator import BaseEstimator, TransformerMixin, check_is_fitted
from bouba.hooks import hook
from bouba.learner.building import alphabets_of, build_network, codes_of, learn, specs_of
from bouba.learner.fitted import FittedNetwork
from bouba.learner.options import refuse_arguments
from bouba.learner.saving import restore
from bouba.learner.teachers import readers_of, student_kinds, teacher_facts
from bouba.learner.training_data import TrainingData, check_training
from bouba.nn.fusion import Fusion
from bouba.nn.temperature import Temperature
from bouba.terms.term import Objective
from bouba.towers import EncoderSpec
from bouba.train import Network, Saving, Schedule


class BaseLearner(TransformerMixin, BaseEstimator):
    """What every method that is trained shares; see Learner for the arguments.

    A method defines its objective (`_objective`) and the hooks that it needs; nothing else is overridden. `fit` calls,
    in this order: `_check_options`, `_prepare`, `_towers`, `_measure`, `_numeric_labels`, `_extend`, `_enlarge_batch`,
    and `_finish`.
    """

    aligns: ClassVar[bool] = True
    """Whether views share one space, so that one finds another."""

    predicts: ClassVar[bool] = False
    """Whether it predicts label columns: `outputs`, `classes`."""

    reconstructs: ClassVar[bool] = False
    """Whether it gives its views back: `explained`."""

    translates: ClassVar[bool] = False
    """Whether it makes one view from another: `translate`, `truth`."""

    generates: ClassVar[bool] = False
    """Whether it draws any views from any others, and from nothing: `draw`, `sample`."""

    schema_: Schema | None = None  # of the rows it was fitted on; of models saved without one it is None

    saves: ClassVar[tuple[str, ...]] = ()  # fitted attributes, plain values, in addition to those of all methods

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
        ema: float | None = None,
        chunk_size: int | None = None,
        domain_norm: bool = True,
        device: str = "auto",
        compile: bool = False,
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
        self.ema = ema
        self.chunk_size = chunk_size
        self.domain_norm = domain_norm
        self.device = device
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def _get_param_names(cls) -> list[str]:
        """A method's own arguments and those of its bases, which its constructor forwards by name."""
        bases = [base for base in cls.__mro__ if issubclass(base, BaseLearner) and "__init__" in vars(base)]
        parameters = {p.name: p for base in bases for p in inspect.signature(base.__init__).parameters.values()}
        return sorted(name for name, p in parameters.items() if name != "self" and p.kind is not p.VAR_KEYWORD)

    @abstractmethod
    def _objective(self) -> Objective:
        """What is minimised. Without a term nothing is trained, and `_finish` learns what there is to learn."""

    @hook
    def _check_options(self, validation: float | Views | None) -> None:
        """Refuse arguments of the constructor, or a validation, that do not suit the method. Nothing by default."""

    @hook
    def _prepare(self, data: TrainingData) -> TrainingData:
        """First: fitted names of labels and views, rows left out or held out to calibrate. As they are by default."""
        return data

    @hook
    def _towers(self, towers: Mapping | None, kinds: Mapping[str, str]) -> Mapping | None:
        """The encoders to train, by view; None for a default a kind. Those of the constructor by default."""
        return towers

    @hook
    def _fuses_by(self) -> Fusion | None:
        """How views become one vector, None where they do not. The constructor's by default."""
        return self.fusion

    @hook
    def _measure(self, views: Views) -> None:
        """Fitted attributes that `_extend` needs, from the rows to train on. Nothing by default."""

    @hook
    def _numeric_labels(self, labels: list[str]) -> list[str]:
        """The label columns that are numbers, from those that look like it. All of these by default."""
        return labels

    @hook
    def _extend(self, module: Network) -> None:
        """Add to a network that was just made, in `fit` and in loading: buffers, layers. Nothing by default."""

    @hook
    def _enlarge_batch(self, rows: int) -> int:
        """Rows a step where `batch_size` is None, from their usual number. As many by default."""
        return rows

    @hook
    def _finish(self, data: TrainingData) -> None:
        """After training, with the views that have towers: calibrate, map embeddings, warn. Nothing by default."""

    @hook
    def _own_score(self, views: Views, y) -> float | None:
        """What `score` gives; None for the mean reciprocal rank of partners, the default."""

    @hook
    def _check_readable(self, views: Views) -> None:
        """Refuse rows that `transform` could not read. Nothing by default."""

    @hook
    def _learnt_views(self, views: tuple[str, ...]) -> tuple[str, ...]:
        """The views whose towers are trained, of all of them. All by default."""
        return views

    @final
    def fit(
        self,
        X,
        y=None,
        *,
        domain: Sequence | None = None,
        validation: float | Views | None = None,
        target: Target | None = None,
        folder: str | Path | None = None,
        resume: bool = False,
        checkpoint_minutes: float | None = 10.0,
        checkpoint_steps: int | None = None,
        on_epoch: Callable[[dict], None] | None = None,
    ):
        """Train on Views, or on anything `bouba.read` takes; rows without what the method learns from are left out.

        Args:
            X: n rows, some cells missing. What is about them is found by its index, where both have one.
            y: (n,) labels, as label column "y", None where there is none; they may also come in the Views.
            domain: (n,) names of the domains; else they come in the Views.
            validation: Views, or the share of keys to hold out, that choose the best epoch and calibrate; no target's.
            target: the domain whose labels and pairings are hidden; its cells train terms that need no pairs.
            folder: where checkpoints and history.jsonl go; Ctrl-C and SIGTERM then save first.
            resume: continue from the checkpoint in `folder`, with the same rows and settings; or for more epochs.
            checkpoint_minutes, checkpoint_steps: at most between two checkpoints of a long epoch; None for no limit.
            on_epoch: called with every history row.

        Returns:
            self, with `module_`, `history_`, `specs_`, `codes_`, `schema_`.

        Raises:
            UsageError: data or arguments that do not fit together. ModalityError: no such view. DataError: fewer than
            two rows that teach; a checkpoint that is damaged, or of another run. Stopped: Ctrl-C or a signal.
        """
        import torch

        from bouba.learner.training import train_network

        refuse_arguments(self)
        self._check_options(validation)
        check_training(validation, self.patience, self.epochs, self.batch_size)
        data = TrainingData.of(X, y, domain, validation, target)
        schema, data = data.schema, self._prepare(data)
        saving = Saving(Path(folder), resume, checkpoint_minutes, checkpoint_steps) if folder else None
        data = data.hold_out(self.random_state).hide_target(self._objective(), self.random_state)
        data.check(self._objective())
        with running_on(self.device), random_state_kept(device_named()):
            torch.manual_seed(self.random_state)
            self._build(data.views)
            self.schema_ = schema.select(self.kinds_) if schema else None
            self.history_: list[dict] = []
            if self._objective().terms:
                self.history_ = train_network(
                    self.module_,
                    self._encoders() | readers_of(self._objective()),
                    self.codes_,
                    data,
                    Schedule(self.epochs, self.lr, self.weight_decay, patience=self.patience, ema=self.ema),
                    device=self.device,
                    compiles=self.compile,
                    batch_size=self._batch_size(len(data.source)),
                    random_state=self.random_state,
                    title=type(self).__name__ if self.verbose else None,
                    specs=self.specs_,
                    saving=saving,
                    on_epoch=on_epoch,
                )
            self._finish(data.of_views(self.kinds_))
        return self

    def _build(self, views: Views) -> None:
        """Encoders look at the training cells; then the network is made."""
        kinds = student_kinds(views, self._objective())
        self.specs_ = specs_of(self._towers(self.towers, kinds), kinds, views)
        self.kinds_ = {name: kinds[name] for name in self.specs_}
        self._measure(views)
        self.codes_ = codes_of(views, self._objective(), self._numeric_labels)
        self.learned_ = teacher_facts(views, self._objective())
        for name, spec in self.specs_.items():
            learned = learn(name, spec, views[name], self.random_state)
            if isinstance(spec, EncoderSpec):
                self.learned_[name] = learned
        self.alphabets_ = alphabets_of(views, self.kinds_)
        self._assemble()
        for name in [view for view in self.specs_ if view in self.learned_]:  # in order: to read weights may draw
            self.specs_[name].start_tower(self.module_.towers[name])  # type: ignore[union-attr, arg-type]
        self.module_.to(device_named())

    def _assemble(self) -> None:
        """The network from what is fitted, as after loading."""
        self.module_ = build_network(
            self.specs_,
            self.learned_,
            self.codes_,
            self._objective(),
            dim=self.dim,
            domain_norm=self.domain_norm,
            fusion=self._fuses_by(),
            chunk_size=self.chunk_size,
            extend=self._extend,
        )

    def _batch_size(self, rows: int) -> int:
        """Rows of a step, of so many source rows in all."""
        return min(rows, self.batch_size or self._enlarge_batch(min(256, max(32, rows // 8))))

    def _encoders(self) -> dict:
        return self._fitted().encoders

    def _fitted(self) -> FittedNetwork:
        """The network with what it was trained on. NotFittedError before `fit`."""
        check_is_fitted(self, "module_")
        return FittedNetwork(self.module_, self.kinds_, self.codes_, self.dim)

    @final
    def read(self, X) -> Views:
        """Rows as those of `fit` were read: columns matched by name, in whatever order; see `views_like`."""
        return views_like(X, self.schema_)

    @final
    def embed(self, X, *, batch_size: int = 512) -> dict[str, np.ndarray]:
        """Embeddings of every view that X has: view -> float32 (n, dim), zeros where a cell is missing.

        Raises:
            ModalityError: a view the model was not trained on.
        """
        return self._fitted().embed(self.read(X), batch_size)

    @final
    def fuse(self, X, *, batch_size: int = 512) -> np.ndarray:
        """One vector a row from whichever views it has: float32 (n, dim), zeros where it has none.

        Raises:
            UsageError: the model does not fuse. ModalityError: a view it was not trained on.
        """
        if not self.fuses:
            raise UsageError(f"this {type(self).__name__} fuses nothing; give it a fusion, for example GatedFusion()")
        return self._fitted().fuse(self.read(X), batch_size)

    @final
    def transform(self, X) -> Views | np.ndarray:
        """Views of embeddings, one vector view for each view of X; where the model fuses, one array (n, dim).

        Raises:
            DataError: of an autoencoder, a row without any view. ModalityError: a view the model was not trained on.
        """
        views = self.read(X)
        self._check_readable(views)
        if self.fuses:
            return self.fuse(views)
        embedded = {name: Column.of(z, "vector", views.present[name]) for name, z in self.embed(views).items()}
        return views.replace(columns=embedded)

    @final
    def score(self, X, y=None) -> float:
        """How well the method does what it is for, on X's rows; higher is better.

        Mean reciprocal rank of the true partner, over every ordered pair of views, where views are aligned (SimCLR: of
        a cell's other random change). Accuracy, or R^2 of numbers, over the labels, where labels are predicted and
        nothing is aligned. `explained`, averaged over views, of an autoencoder; minus the mean squared error of one
        draw a row of a translator, which rewards the mean of all that can be: judge draws by `bouba.metrics`.

        Args:
            X: n rows. y: (n,) labels; else they come in the Views.
        """
        views = self.read(X)
        if (own := self._own_score(views, None if y is None else row_values("y", y, views.row_names))) is not None:
            return own
        from bouba.metrics import mean_reciprocal_rank

        return mean_reciprocal_rank(self.embed(views), views.present, views.things, similarity=self.compared_by)

    @property
    def fuses(self) -> bool:
        """Whether views become one vector: `fuse`."""
        return self._fuses_by() is not None

    @property
    def searchable(self) -> tuple[str, ...]:
        """The views by which rows can be found: those whose towers are trained."""
        return self._learnt_views(tuple(self.kinds_))

    @property
    def compared_by(self) -> str:
        """How this model's embeddings are to be compared: what its contrastive term used, else cosine."""
        return self._objective().needs().similarity or "cosine"

    @property
    def widths(self) -> tuple[int, ...]:
        """How many first numbers of an embedding are one by themselves; see `Nested`."""
        return self._objective().needs().widths

    @property
    def temperature_(self) -> float | None:
        """What its first term with a temperature divides similarities by; None without one."""
        taus = [module for module in self._fitted().module.state.modules() if isinstance(module, Temperature)]
        return float(taus[0]().detach()) if taus else None

    @final
    def text_view(self, text: str) -> str:
        """The text view whose training texts share most of this text's characters: its language, in effect."""
        check_is_fitted(self, "module_")
        return text_view(text, self.alphabets_, self.kinds_)

    @final
    def save(self, path: str | Path) -> None:
        """Write the model as a folder of JSON and safetensors; it loads on any machine."""
        check_is_fitted(self, "module_")
        facts = {
            "class": persist.name_of(type(self)),
            "arguments": persist.arguments_of(self),
            "specs": {name: persist.describe(spec) for name, spec in self.specs_.items()},
            "kinds": self.kinds_,
            "schema": None if self.schema_ is None else self.schema_.to_dict(),
            "learned": self.learned_,
            "alphabets": self.alphabets_,
            "codes": persist.describe(self.codes_),
            "history": self.history_,
            "more": {name: persist.describe(getattr(self, name)) for name in self.saves},
        }
        persist.write_model(Path(path), facts, self.module_.state_dict())

    @final
    def _restore(self, facts: dict, file: Path, custom: Sequence[type]) -> None:
        """Become the fitted model that `save` wrote."""
        restore(self, facts, file, custom)
