"""Which pixels and which words of a cell a prediction rests on: integrated gradients."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from bouba.data.faults import refuse_faults
from bouba.data.loader import Codes, Rows
from bouba.data.matching import views_for
from bouba.data.views import Views
from bouba.errors import DataError, ModalityError, UsageError, nearest, require
from bouba.fuse.explanation import PREDICTED, codes_of, only_label
from bouba.learner.base import BaseLearner
from bouba.towers.image import ImageEncoder
from bouba.towers.text import NGramsEncoder, SubwordEncoder, n_grams

if TYPE_CHECKING:
    from bouba.batch import Batch
    from bouba.towers.tower import Encoder

STEPS = 64
WORDS = (NGramsEncoder, SubwordEncoder)
Output = Callable[["Batch"], Tensor]
"""The number that is explained, (S,) of S copies of a row."""


@dataclass(frozen=True)
class Saliency:
    """What the parts of a cell added: weights add up to whole - base, as far as the steps allow.

    Args:
        picture: uint8 (H, W, 3), as the network reads it; None for a text.
        heat: float64 (H, W), what each pixel added; None for a text.
        words: (word, what it added), in order; empty for a picture.
        whole: the output for the cell. base: for a white picture, or a text of embeddings of zero.
    """

    picture: NDArray[np.uint8] | None
    heat: NDArray[np.float64] | None
    words: tuple[tuple[str, float], ...]
    whole: float
    base: float

    @property
    def total(self) -> float:
        """The sum of the weights."""
        return float(sum(weight for _, weight in self.words) if self.heat is None else self.heat.sum())


def saliency(
    model: Any,
    X,
    view: str,
    *,
    label: str | None = None,
    of: Any = PREDICTED,
    steps: int = STEPS,
) -> Saliency:
    """What each pixel of a picture, or each word of a text, added to a prediction.

        weight_i = (x_i - b_i) * integral from 0 to 1 of d f(b + t (x - b)) / d x_i dt

    f is the log probability of a class (before calibration) from all views of the row, or a number in its unit; the
    other views stay as they are. b is a white picture, or embeddings of zero. Weights of channels are added up, and
    weights of n-grams or subwords over the word they belong to. `explain` gives what whole views added.

    Args:
        model: fitted, with a Prediction in its objective.
        X: one row. view: which of its cells; read by ConvNet, ResNet, VGG, NGrams, LSTM or Transformer.
        label, of: what is explained, as for `explain`.
        steps: of the integral.

    Raises:
        UsageError: several rows, or a tower whose inputs cannot be changed by degrees. ModalityError: no such view.
        DataError: the row lacks it. MissingExtraError: Captum is not installed.

    Reference: Sundararajan, Taly and Yan 2017, Axiomatic Attribution for Deep Networks; Kokhlikyan et al. 2020, Captum.
    """
    views = _only_row(model, X, view)
    outputs = model.outputs(views)
    label = only_label(outputs, label)
    if outputs[label].ndim == 2:
        if not isinstance(of, str) or of != PREDICTED:
            raise UsageError(f"label {label!r} is a number, which is explained as it is; leave of={of!r} out")
        mean, scale = model.codes_.numbers[label]
        return _integrated(model, views, view, lambda batch: mean + scale * model.module_.predict(batch)[label], steps)
    [code] = codes_of(views, label, model.classes(label), outputs[label][:, 0], of)
    return _integrated(model, views, view, lambda batch: model.module_.predict(batch)[label][:, code], steps)


def match_saliency(model: Any, X, view: str, *, to: str, steps: int = STEPS) -> Saliency:
    """What each pixel of a picture, or each word of a text, added to the similarity with another view of its row.

    As `saliency`, f being the similarity that the model compares by. For two cells of different rows, put them
    into one: Views({"image": [picture], "text": [sentence]}, kinds=...).

    Args:
        model: trained, its views in one space: CLIP, Learner(objective=InfoNCE()), ...
        X: one row. view: whose pixels or words. to: the other view. steps: of the integral.

    Raises:
        As `saliency`; UsageError also for a model whose views share no space, or that has no network.
    """
    views = _only_row(model, X, view)
    if not isinstance(model, BaseLearner) or not model.aligns:
        raise UsageError(f"a {type(model).__name__} has no trained network whose views share a space; take CLIP")
    if to == view or to not in views.modalities:
        raise ModalityError(f"no other view {to!r}{nearest(to, set(views.modalities) - {view})}")
    if not views[to].present[0]:
        raise DataError(f"the row has no {to}; choose one that has both views")

    def similarity(batch: Batch) -> Tensor:
        a, b = batch.z[view], batch.z[to]
        if model.compared_by == "euclidean":
            return -torch.linalg.vector_norm(a - b, dim=1)
        return (a * b).sum(1) if model.compared_by == "dot" else F.cosine_similarity(a, b)

    return _integrated(model, views, view, similarity, steps)


def _only_row(model, X, view: str) -> Views:
    views = views_for(model, X)
    if view not in views.modalities:
        raise ModalityError(f"no view {view!r}{nearest(view, views.modalities)}")
    if len(views) != 1:
        raise UsageError(f"saliency is of one row, got {len(views)}; choose: X[row]")
    if not views[view].present[0]:
        raise DataError(f"the row has no {view}; choose one that has it")
    refuse_faults(views)
    return views


def _integrated(model: Any, views: Views, view: str, output: Output, steps: int) -> Saliency:
    """Integrated gradients of `output` for the one row, by the cell of `view`."""
    attr = require("captum.attr", "explain")
    encoder = model._encoders()[view]
    if not isinstance(encoder, (ImageEncoder, *WORDS)):
        raise UsageError(
            f"view {view!r} is read by {type(encoder).__name__}, whose inputs cannot be changed by degrees; "
            "pixels need ConvNet, ResNet or VGG, words need NGrams, LSTM or Transformer"
        )
    row, tower = _row(model, views), model.module_.towers[view]
    inputs = row.inputs[view]
    cell = inputs["pixels"].float() / 255 if isinstance(encoder, ImageEncoder) else _embedded(encoder, inputs)
    base = torch.ones_like(cell) if isinstance(encoder, ImageEncoder) else torch.zeros_like(cell)

    def forward(cells: Tensor) -> Tensor:
        """Of S cells between the base and the cell, (S,)."""
        batch = row.map(lambda tensor: tensor.expand(len(cells), *tensor.shape[1:]))
        z = tower.projection(_features(tower, cells, batch.inputs[view], batch.domain))
        return output(model.module_.fuse(batch.replace(z={**batch.z, view: z})))

    with torch.backends.cudnn.flags(enabled=False):  # its recurrent layers have no gradient outside training
        weights = attr.IntegratedGradients(forward).attribute(cell, base, n_steps=steps, internal_batch_size=steps)
    with torch.no_grad():
        whole, at_base = float(forward(cell)), float(forward(base))
    model.module_.zero_grad(set_to_none=True)
    added = weights.detach()[0].double().cpu().numpy()
    if isinstance(encoder, ImageEncoder):
        picture = inputs["pixels"][0].permute(1, 2, 0).cpu().numpy()
        return Saliency(picture, added.sum(0), (), whole, at_base)
    return Saliency(None, None, _by_word(encoder, views[view][0], inputs["words"][0], added.sum(1)), whole, at_base)


def _row(model: Any, views: Views) -> Batch:
    """The one row with z of every view, without gradient."""
    names = [name for name in views.modalities if views[name].present[0]]
    rows = Rows(views, {name: model._encoders()[name] for name in names}, Codes(model.codes_.domains), memory=0)
    model.module_.eval()
    with torch.no_grad():
        batch = rows.batch(torch.zeros(1, dtype=torch.int64)).to(next(model.module_.parameters()).device)
        return model._fitted().with_every_view(batch)


def _features(tower: Any, values: Tensor, inputs: dict[str, Tensor], domain: Tensor | None) -> Tensor:
    """What the encoder gives for pixels, or for embedded parts of texts, (S, width)."""
    if isinstance(tower.encoder, ImageEncoder):
        return tower.features({"pixels": values}, domain)
    if isinstance(tower.encoder, NGramsEncoder):  # the mean over n-grams is taken here
        values = values.sum(1) / (inputs["grams"] != 0).sum(1, keepdim=True).clamp(min=1)
    hook = tower.encoder.embed.register_forward_hook(lambda module, args, output: values)
    try:
        return tower.features(inputs, domain)
    finally:
        hook.remove()


def _embedded(encoder: Encoder, inputs: dict[str, Tensor]) -> Tensor:
    """The embedding of each part of a text, (1, L, width)."""
    table: nn.Embedding = encoder.embed  # type: ignore[assignment]
    parts = inputs["grams" if isinstance(encoder, NGramsEncoder) else "tokens"]
    return F.embedding(parts.long(), table.weight).detach() * (parts != 0)[:, :, None]


def _by_word(encoder: Encoder, cell: Any, word_numbers: Tensor, weights: NDArray) -> tuple[tuple[str, float], ...]:
    """Weights of parts (L,), added up over the word (L,) each belongs to."""
    text: str = encoder.form(str(cell))  # type: ignore[operator, assignment]
    numbers = word_numbers.cpu().numpy()
    if isinstance(encoder, NGramsEncoder):
        grams, owners = n_grams(text[: encoder.spec.read], encoder.spec.longest)
        words = [gram[1:-1] for gram in grams[: max(owners)]]
    else:
        spans: dict[int, tuple[int, int]] = {}
        encoding = encoder.tokenizer.encode(text)  # type: ignore[operator, union-attr]
        for number, (start, stop) in zip(encoding.word_ids, encoding.offsets):
            if number is not None:
                spans[number] = (min(start, spans.get(number, (start, stop))[0]), stop)
        words = [text[start:stop] for _, (start, stop) in sorted(spans.items())]
    return tuple((word, float(weights[numbers == place].sum())) for place, word in enumerate(words, 1))


def overlay(picture: NDArray[np.uint8], heat: NDArray, *, side: int = 256) -> bytes:
    """A picture with its heat on it as PNG: red where pixels raise the output, blue where they lower it.

    Args:
        picture: uint8 (H, W, 3). heat: (H, W), signed. side: of the longer side in the PNG, in pixels.

    >>> overlay(np.full((4, 4, 3), 255, np.uint8), np.eye(4))[1:4]
    b'PNG'
    """
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(np.asarray(heat, float), max(heat.shape) / 48)
    strength = np.abs(smooth) / max(np.abs(smooth).max(), 1e-12)
    colour = np.where(smooth[:, :, None] > 0, (214, 39, 40), (31, 119, 180))
    grey = np.asarray(picture, float).mean(2, keepdims=True) * 0.6 + 0.4 * 255  # paler, so that colours are heat
    blend = grey + (colour - grey) * strength[:, :, None]
    height, width = heat.shape
    size = (round(side * width / max(heat.shape)), round(side * height / max(heat.shape)))
    file = io.BytesIO()
    Image.fromarray(blend.round().astype(np.uint8)).resize(size, Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()
