"""A distribution over all views at once: draw any of them, given any others or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bouba.errors import ModalityError, UsageError, nearest
from bouba.fuse.decoding import Decoding
from bouba.nn.experts import Experts, belief, product
from bouba.nn.fusion import Fusion
from bouba.terms import ELBO, Objective
from bouba.towers import EncoderSpec

if TYPE_CHECKING:
    from torch import Tensor

    from bouba.batch import Batch


class MultimodalVAE(Decoding):
    """A variational autoencoder of all the views of a row: Learner(ELBO(experts)), a code that is a distribution.

        q(z | x_P)   what the towers of the views P that a row has believe together, see ELBO
        x_w ~ p(x_w | z),  z ~ q(z | x_P)   any view w from any views P;   z ~ N(0, 1)   all views from nothing

    Rows with some of their views teach too, in training and afterwards: a missing view is left out of the product or
    the mixture, and never filled in. Take it where one answer is not enough (several pictures for a sound), or where
    new rows shall be made; MultimodalAutoencoder gives the mean of what is possible, is steadier and closer to the
    views that are given; FlowTranslator and ConditionalGAN make sharper pictures, of one view from one other.

    Args:
        towers: view -> encoder; a default for each kind when None. Views without a raw form are read but not decoded.
            Pictures come back with a side of `ConvNet(thumbnail=16)`.
        experts: "product" (MVAE), "mixture" (MMVAE), "mopoe" or "mvtcae"; which when: see ELBO.
        beta: more makes views agree more, and items blurred. alpha: of mvtcae.
        likelihoods: view -> "gaussian", "laplace" or "bernoulli"; laplace of pictures, else gaussian, by default.
        scale: deviation around what is decoded; trained, one a view, when None.
        hidden: width of each decoder's hidden layer.
        **training: dim (of the code; embeddings of single views hold dim means, then dim log-variances), epochs,
            batch_size, lr, weight_decay, patience, random_state, verbose; see Learner.

    References: see `bouba.terms.elbo`. Departures: the code of `transform` is the mean of q(z | x_P), of the mixture
    the mean of its experts' means; mopoe infers from the product of all views that are present, which is the sharpest
    of the distributions it was trained on; items are the middle of p(x | z), without its noise.

    >>> from bouba.data import Views
    >>> views = Views({"a": np.eye(8), "b": np.eye(8)[::-1].copy()})
    >>> model = MultimodalVAE(epochs=1, dim=4).fit(views)
    >>> model.transform(views.select("a")).shape, model.translate(views.select("a"), 3, to="b").shape
    ((8, 4), (8, 3, 8))
    >>> {view: items.shape for view, items in model.sample(5).items()}
    {'a': (5, 8), 'b': (5, 8)}
    """

    generates: ClassVar[bool] = True

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        experts: str = "mvtcae",
        beta: float = 1.0,
        alpha: float = 0.9,
        likelihoods: Mapping[str, str] | None = None,
        scale: float | None = None,
        hidden: int = 256,
        **training,
    ):
        super().__init__(towers, **training)
        self.experts = experts
        self.beta = beta
        self.alpha = alpha
        self.likelihoods = likelihoods
        self.scale = scale
        self.hidden = hidden

    def _check_options(self, validation) -> None:
        if self.fusion is not None:
            raise UsageError(f"experts say how MultimodalVAE fuses views; leave fusion={self.fusion!r} out")

    def _fuses_by(self) -> Fusion:
        return Experts(kind=self.experts)

    def _objective(self) -> Objective:
        likelihoods = tuple((self.likelihoods or {}).items())
        options: dict[str, Any] = {"beta": self.beta, "alpha": self.alpha, "scale": self.scale, "hidden": self.hidden}
        return Objective.of(ELBO(self.experts, likelihoods=likelihoods, **options))

    def draw(self, X, n: int = 1, *, random_state: int = 0) -> dict[str, np.ndarray]:
        """Every view of the model, n times for each row, from whichever views the row has. Views of one draw go
        together: they are decoded from one code.

        Returns:
            view -> (rows, n, ...), in the form of `reconstruct`, those too that the row has.

        Raises:
            DataError: a row without any view. ModalityError: a view the model was not trained on. UsageError: n < 1.
        """
        import torch

        views = self.read(X)
        self._check_readable(views)
        _check_count(n)
        with torch.random.fork_rng():
            torch.manual_seed(random_state)
            drawn = self._fitted().run(views, lambda batch: self._decoded_from(self._codes(batch, n)))
        return {name: self._restored(name, raw, (len(views), n)) for name, raw in drawn.items()}

    def translate(self, X, n: int = 1, *, to: str, random_state: int = 0) -> np.ndarray:
        """One view, n times for each row, from whichever views the row has.

        Args:
            X: rows; select views to say from which, all that are present otherwise. to: the view that is drawn.

        Returns:
            (rows, n, ...): vectors in their own unit, pictures as uint8 (rows, n, side, side, 3).

        Raises:
            As `draw`; ModalityError: no such view, or one that is not decoded.
        """
        decoders = self._likelihoods()
        if to not in decoders:
            raise ModalityError(f"no view {to!r} that can be drawn{nearest(to, decoders)}")
        return self.draw(X, n, random_state=random_state)[to]

    def sample(self, n: int, *, random_state: int = 0) -> dict[str, np.ndarray]:
        """n new rows with all views, of codes from the prior N(0, 1): view -> (n, ...) in the form of `reconstruct`."""
        import torch

        module = self._fitted().module.eval()
        _check_count(n)
        draw = torch.Generator().manual_seed(random_state)
        z = torch.randn(n, self.dim, generator=draw).to(next(module.parameters()).device)
        with torch.inference_mode():
            decoded = self._decoded_from(z)
        return {name: self._restored(name, raw.float().cpu().numpy(), (n,)) for name, raw in decoded.items()}

    def _codes(self, batch: Batch, n: int) -> Tensor:
        """n codes for each row from what its views believe together, (B * n, dim)."""
        import torch

        network = self._fitted()
        batch = network.with_every_view(batch)
        mean, log_variance = belief(torch.stack(list(batch.z.values()), 1))  # (B, V, dim)
        present = torch.stack(list(batch.present.values()), 1)
        if self.experts == "mixture":
            chosen = torch.multinomial(present.float(), n, replacement=True)[:, :, None]  # (B, n, 1)
            chosen = chosen.expand(-1, -1, mean.shape[-1])
            mean, log_variance = mean.gather(1, chosen), log_variance.gather(1, chosen)
        else:
            joint = product(mean, log_variance, present, prior=self.experts == "product")
            mean, log_variance = (each[:, None].expand(-1, n, -1) for each in joint)
        return (mean + (log_variance / 2).exp() * torch.randn_like(mean)).flatten(0, 1)

    def _decode(self, batch: Batch) -> dict[str, Tensor]:
        network = self._fitted()
        return self._decoded_from(network.module.fuse(network.with_every_view(batch)).fused)

    def _decoded_from(self, z: Tensor | None) -> dict[str, Tensor]:
        return {name: likelihood.mean(z) for name, likelihood in self._likelihoods().items()}

    def _likelihoods(self):
        """view -> Likelihood."""
        return self._fitted().module.state[0]  # type: ignore[index]

    def _restored(self, name: str, raw: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        items = self._encoders()[name].restore(raw.reshape(int(np.prod(shape)), -1))
        return items.reshape(*shape, *items.shape[1:])


def _check_count(n: int) -> None:
    if n < 1:
        raise UsageError(f"n is how many are drawn, 1 or more, got {n}")
