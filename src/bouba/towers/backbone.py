"""A network of transformers as one module: inputs -> pooled features (B, width)."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bouba.batch import Inputs
from bouba.errors import DataError, UsageError, require
from bouba.nn.domain_norm import batch_norms, is_frozen
from bouba.towers.checkpoints import has_two_towers, quiet
from bouba.towers.tower import Encoder

POOLINGS = ("mean", "cls", "max", "pooler")
OTHER_TOWER = {"text": ("vision_model", "visual_projection"), "image": ("text_model", "text_projection")}
NEVER_USED = ("logit_scale", "masked_spec_embed")  # parameters of training objectives


class Backbone(nn.Module):
    """A transformers model and how its states become one vector.

        mean:   sum_t real_t state_t / sum_t real_t, over the real tokens, frames or places
        max:    the same with the maximum
        cls:    the first state
        pooler: what the model itself gives as pooler_output; with two towers the projection to their shared space

    Args:
        model: a model of transformers, changed in place: what `pooling` does not need is taken out.
        kind: of what it reads. pooling: one of POOLINGS. layer: which hidden state is pooled, 0 being the embeddings
            and -1 the last; None for the model's output, which may be normalised once more.
    """

    def __init__(self, model: Any, kind: str, pooling: str, layer: int | None = None):
        super().__init__()
        self.kind, self.pooling, self.layer = kind, pooling, layer
        self.two = has_two_towers(model.config.model_type)
        for name in (*OTHER_TOWER.get(kind, ()), *NEVER_USED) if self.two else ():
            if hasattr(model, name):
                delattr(model, name)
        for name, parameter in model.named_parameters():
            if name.endswith("masked_spec_embed"):  # used in pretraining alone, and random where a checkpoint lacks it
                nn.init.zeros_(parameter)
        if not self.two and pooling != "pooler" and "pooler" in dict(model.named_children()):
            model.pooler = nn.Identity()  # it would be trained for nothing, and may be random
        self.model = model

    def forward(self, inputs: Mapping[str, Tensor], real: Tensor | None = None) -> Tensor:
        """Features (B, width); `real` is bool (B, L), False on padding."""
        if self.two:
            ask = self.model.get_text_features if self.kind == "text" else self.model.get_image_features
            return ask(**inputs).pooler_output  # type: ignore[operator]
        out = self.model(**inputs, output_hidden_states=self.layer is not None)
        if self.pooling == "pooler":
            return out.pooler_output.flatten(1)
        states = out.last_hidden_state if self.layer is None else out.hidden_states[self.layer]
        if states.dim() == 4:  # (B, C, h, w)
            states, real = states.flatten(2).transpose(1, 2), None  # (B, L, C)
        if self.pooling == "cls":
            return states[:, 0]
        real = states.new_ones(states.shape[:2]) if real is None else real.to(states.dtype)  # (B, L)
        if self.pooling == "max":
            return states.masked_fill(real[:, :, None] == 0, -torch.inf).amax(1)
        return (states * real[:, :, None]).sum(1) / real.sum(1, keepdim=True).clamp(min=1)


class PretrainedEncoder(Encoder):
    """Cells -> what `read` makes of them -> features (B, width) of a backbone.

    Frozen BatchNorm layers use the statistics they came with, whatever mode the network is in.
    """

    def __init__(self, backbone: Backbone, read: Callable[[Sequence], Inputs], width: int):
        super().__init__()
        self.backbone, self.read, self.width = backbone, read, width

    def train(self, mode: bool = True) -> PretrainedEncoder:
        super().train(mode)
        for layer in batch_norms(self):
            if is_frozen(layer):
                layer.eval()
        return self

    def prepare(self, cells: Sequence) -> Inputs:
        return self.read(cells)

    @abstractmethod
    def model_inputs(self, **inputs: Tensor) -> Inputs:
        """What `prepare` gave, as the model takes it."""


def configured(config: Mapping[str, Any]) -> nn.Module:
    """A model with random weights.

    Args:
        config: what `config_of` gave.
    """
    transformers = require("transformers", "pretrained")
    settings = transformers.CONFIG_MAPPING[config["model_type"]].from_dict(dict(config))
    with quiet():
        return transformers.AutoModel.from_config(settings, dtype=torch.float32).eval()


def pretrained(folder: Path) -> tuple[nn.Module, bool]:
    """The model in a directory, and whether the directory holds the weights of its pooler.

    Raises:
        DataError: it holds no weights, or not all of them.
    """
    transformers = require("transformers", "pretrained")
    try:
        with quiet():
            model, info = transformers.AutoModel.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
    except Exception as error:  # each format of weights fails in its own way
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"cannot load the weights in {folder} ({reason:.150}); copy the checkpoint again") from error
    missing = {name for name in info["missing_keys"] if name.split(".")[-1] not in NEVER_USED}
    no_pooler = {name for name in missing if "pooler." in name}
    if missing - no_pooler:
        examples = ", ".join(sorted(missing - no_pooler)[:3])
        raise DataError(
            f"{folder} lacks {len(missing - no_pooler)} weights of its architecture ({examples}, ...); "
            f"copy the checkpoint again, or take train='scratch' to start from random weights"
        )
    return model.eval(), not no_pooler


def config_of(settings) -> dict[str, Any]:
    """A configuration of transformers as plain JSON, without where it came from."""
    config = json.loads(settings.to_json_string(use_diff=False))
    for name in ("_name_or_path", "transformers_version", "id2label", "label2id"):
        config.pop(name, None)
    if "apply_spec_augment" in config:
        config["apply_spec_augment"] = False  # it cannot mask short sounds
    return config


@torch.inference_mode()
def usual_pooling(model: Any, kind: str, inputs: Mapping[str, Tensor], pooler: bool) -> str:
    """The default pooling: see Pretrained.

    Args:
        model: any. kind: of what it reads. inputs: one row, to see what comes out. pooler: whether it has the weights
            of its pooler.
    """
    if has_two_towers(model.config.model_type):
        return "pooler"
    if kind == "text":
        return "mean"
    out = model(**inputs)
    if pooler and getattr(out, "pooler_output", None) is not None:
        return "pooler"
    return "mean" if kind == "audio" or out.last_hidden_state.dim() == 4 else "cls"


def with_lora(backbone: Backbone, rank: int) -> None:
    """Freeze the network and put low-rank adapters in parallel with each of its linear layers, in place.

    Raises:
        UsageError: it has no linear layer.
    """
    peft = require("peft", "lora")
    names = [name for name, module in backbone.model.named_modules() if isinstance(module, nn.Linear)]
    if not names:
        raise UsageError("lora adapts linear layers, this network has none; leave lora out to train all of it")
    backbone.requires_grad_(False)
    peft.inject_adapter_in_model(
        peft.LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=names), backbone.model
    )


def fill(backbone: Backbone, weights: Mapping[str, Tensor]) -> None:
    """Copy pretrained weights into a network that may have adapters, whose weights stay."""
    filled = {name: name.replace(".base_layer.", ".") for name in backbone.state_dict()}
    backbone.load_state_dict({name: weights[plain] for name, plain in filled.items() if plain in weights}, strict=False)
