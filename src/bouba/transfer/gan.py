"""A conditional generative adversarial network as an estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bouba.errors import UsageError
from bouba.terms.conditional_gan import Adversarial
from bouba.terms.term import Objective
from bouba.transfer.translator import Translator

if TYPE_CHECKING:
    from torch import Tensor

    from bouba.batch import Batch


class ConditionalGAN(Translator):
    """Draws a view of a row from another by a generator trained against a critic.

        x = G(n, c),  n ~ N(0, 1),  c the embedding of the source

    It is Learner(Adversarial(source, target) + Regression(source, target)): the regression trains the source's tower,
    the generator draws from that. With `raw` there is no tower, and no regression.

    One pass of the network draws an item, sharp from the start. It can leave out kinds of items that the data have:
    see `metrics.diversity`. FlowTranslator trains more steadily and draws more slowly; RegressionTranslator gives the
    mean.

    Args:
        noise: numbers drawn for each item.
        hidden: width of generator and critic; of pictures, four times the channels of the smallest maps.
        r1: weight of the gradient penalty. pull: weight of the squared error to the row's own item, for sources that
            determine much of the target. mismatched: let the critic also learn from real items paired with another
            row's source.
        decay: of the generator's moving average. augment: change pictures before the critic reads them.
        instance_noise: largest deviation of noise added to what the critic reads, in raw units; 1 for components
            of few pictures. depth: hidden layers of a generator of vectors.
        Others: see Translator.

    References: Mirza and Osindero 2014, Conditional Generative Adversarial Nets; Reed et al. 2016, Generative
    Adversarial Text to Image Synthesis; Mescheder et al. 2018 (R1); Zhao et al. 2020 (augmentation).

    >>> import numpy as np
    >>> from bouba.data import Views
    >>> views = Views({"a": np.eye(8), "b": np.eye(8)[::-1].copy()})
    >>> ConditionalGAN("a", "b", epochs=1, hidden=16).fit(views).translate(views, 2).shape
    (8, 2, 8)
    """

    def __init__(
        self,
        source: str | None = None,
        target: str | None = None,
        *,
        noise: int = 64,
        hidden: int = 256,
        r1: float = 1.0,
        pull: float = 0.0,
        mismatched: bool = False,
        decay: float = 0.99,
        augment: bool = True,
        instance_noise: float = 0.0,
        depth: int = 1,
        **options,
    ):
        super().__init__(source, target, **options)
        self.noise = noise
        self.hidden = hidden
        self.r1 = r1
        self.pull = pull
        self.mismatched = mismatched
        self.decay = decay
        self.augment = augment
        self.instance_noise = instance_noise
        self.depth = depth

    def _check_options(self, validation) -> None:
        if validation is not None or self.patience is not None:
            option = "validation" if validation is not None else "patience"
            raise UsageError(f"no loss on held-out rows says which epoch of a GAN was best; leave {option} out")

    def _objective(self) -> Objective:
        names = ("noise", "hidden", "r1", "pull", "mismatched", "decay", "augment", "instance_noise", "depth")
        options = {name: getattr(self, name) for name in names}
        generator = Adversarial(self.source_, self.target_, raw=self.raw, **options)
        return self._with_regression(generator, hidden=self.hidden, depth=self.depth)

    def _draw(self, batch: Batch, n: int) -> Tensor:
        c = self._condition(batch)
        return self._state().draw(c.repeat_interleave(n, 0), averaged=True).view(len(c), n, -1)
