"""Towers that begin with what was learnt elsewhere: checkpoints of transformers, from a directory or the hub."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bouba.data.augment import Augment
from bouba.errors import DataError, UsageError, nearest, require
from bouba.towers import pretrained_audio as audio
from bouba.towers import pretrained_image as image
from bouba.towers import pretrained_text as text
from bouba.towers.backbone import (
    POOLINGS,
    Backbone,
    PretrainedEncoder,
    config_of,
    configured,
    fill,
    pretrained,
    usual_pooling,
    with_lora,
)
from bouba.towers.checkpoints import checkpoint_named, folder_of, has_tokenizer, has_two_towers, kinds_of, read_json
from bouba.towers.frozen import Frozen
from bouba.towers.spec import EncoderSpec, Learned
from bouba.towers.tower import Encoder

WAYS = ("frozen", "finetune", "scratch")
SMALL_STEPS = 0.02  # of the learning rate of towers from scratch, 2e-3: fine-tuning takes about 4e-5
TOKENS, SIDE = 128, 224  # read of a text, and side of a picture, where an architecture alone sets none


@dataclass(frozen=True)
class Pretrained(EncoderSpec):
    """A text, image or audio encoder of transformers: BERT and its kin, sentence encoders, ResNet, ViT, EfficientNet,
    wav2vec 2.0, HuBERT, AST, or one tower of a whole CLIP.

    With train="frozen" each cell passes the network once, and its features are kept on disk: an epoch then costs what
    training the projection costs. Take "finetune" where the data are many or unlike what the network was trained on,
    with `lora` where memory is short; and a small tower from scratch (NGrams, ConvNet, CRNN) where neither pays.

    A directory is read without a network. The saved model holds all that is needed: weights, architecture, tokenizer,
    the preparation of pictures and sounds. It loads where the checkpoint is not.

    What is pooled if `pooling` is None: of texts what sentence-transformers' 1_Pooling names, else the mean over real
    tokens; of CLIP the projection into its shared space; of others the model's own pooler where it has one and the
    checkpoint holds its weights, else the first state (image transformers) or the mean (sounds, feature maps). Dense
    and Normalize modules of sentence-transformers are left out: the projection behind the tower is learnt.

    Args:
        source: a directory with config.json, a name on the hub, that of a packaged encoder whose full checkpoint is
            there ("minilm", see Packaged), or, with train="scratch", the name of an architecture: "resnet" is
            ResNet-50, "bert" BERT-base, "vit" ViT-B/16, "wav2vec2" wav2vec 2.0 base.
        train: "frozen"; "finetune", all weights or adapters; "scratch", the same architecture with random weights.
        kind: "text", "image" or "audio"; None settles it by the view.
        pooling: "mean", "cls", "max" or "pooler".
        layer: the hidden state that is pooled, 0 being the embeddings; None takes the model's output.
        revision: of a name on the hub: branch, tag or commit.
        config: with train="scratch", settings to change, such as {"num_hidden_layers": 4}. A text network without a
            tokenizer learns subwords from the data, "vocab_size" of them at most.
        longest: tokens read of a text, specials included; None reads what the checkpoint can take.
        seconds: read of a sound from its start.
        size: side of pictures in pixels; None as in the checkpoint. Only convolutional networks take any.
        augment: random changes of pictures while training; not for frozen networks, whose features are computed once.
        lora: rank of the adapters (extra `lora`): with train="finetune" they learn and all else is frozen.
        lr_scale: share of the learning rate; None is 0.02 for "finetune", 1 for adapters and "scratch".
        cache: keep features of a frozen network on disk, in $BOUBA_CACHE or ~/.cache/bouba.

    Raises:
        UsageError: arguments that do not fit together. DataError: on fitting, a checkpoint that cannot be used.

    Reference: Reimers & Gurevych 2019, Sentence-BERT (mean pooling); Radford et al. 2021, CLIP; Hu et al. 2022, LoRA
    (alpha = 2 r, parallel to every linear layer).

    >>> Pretrained("bert", train="scratch", config={"hidden_size": 32, "num_attention_heads": 2}).on("text").kind
    'text'
    """

    source: str
    _: KW_ONLY
    train: str = "frozen"
    kind: str | None = None  # type: ignore[assignment, misc]
    pooling: str | None = None
    layer: int | None = None
    revision: str | None = None
    config: Mapping[str, Any] | None = None
    longest: int | None = None
    seconds: float = 10.0
    size: int | None = None
    augment: Augment | None = None
    lora: int | None = None
    lr_scale: float | None = None
    cache: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", checkpoint_named(os.fspath(self.source)))
        if self.train not in WAYS:
            raise UsageError(f"no train={self.train!r}{nearest(self.train, WAYS)}")
        if self.pooling is not None and self.pooling not in POOLINGS:
            raise UsageError(f"no pooling={self.pooling!r}{nearest(self.pooling, POOLINGS)}")
        if self.pooling == "pooler" and self.layer is not None:
            raise UsageError("the pooler works on the last layer; take pooling='mean' or 'cls' with layer")
        if self.lora is not None and (self.train != "finetune" or self.lora < 1):
            raise UsageError(f"lora is a rank of 1 or more and needs train='finetune', got {self.lora}, {self.train!r}")
        if self.config is not None and self.train != "scratch":
            raise UsageError("config changes an architecture, which only train='scratch' can; leave it out")
        if self.augment is not None and self.train == "frozen":
            raise UsageError("a frozen network sees each picture once; leave augment out or take train='finetune'")
        sizes = {name: getattr(self, name) for name in ("longest", "seconds", "size", "lr_scale")}
        if any(value is not None and value <= 0 for value in sizes.values()):
            raise UsageError(f"longest, seconds, size and lr_scale must be above 0, got {sizes}")

    def on(self, kind: str) -> Pretrained:
        folder = self._folder()
        model_type = self.source if folder is None else read_json(folder / "config.json").get("model_type")
        kinds = kinds_of(model_type, self.source)
        if self.kind is not None:
            kinds = tuple(each for each in kinds if each == self.kind)
        if kind not in kinds:
            raise UsageError(f"Pretrained({self.source!r}) reads {' and '.join(kinds) or self.kind}")
        if has_two_towers(model_type) and (self.pooling not in (None, "pooler") or self.layer is not None):
            raise UsageError(f"{self.source} gives its shared space; leave pooling and layer out")
        return replace(self, kind=kind)

    def _folder(self) -> Any:
        """Where the checkpoint lies; None for an architecture without one, which only "scratch" has."""
        if self.train == "scratch" and not Path(self.source).is_dir():
            if has_two_towers(self.source):
                raise UsageError(f"{self.source!r} is made of two architectures; give a directory, or one a view")
            if self.source in require("transformers", "pretrained").CONFIG_MAPPING:
                return None
        return folder_of(self.source, self.revision)

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        if self.kind is None:
            raise UsageError(f"Pretrained({self.source!r}) must know its kind; call .on('text') or give kind=")
        folder = self._folder()
        model, pooler = (None, True) if self.train == "scratch" else pretrained(folder)
        config = config_of(self._architecture(folder) if model is None else model.config)
        facts: Learned = {"kind": self.kind, "config": config, "pooling": "pooler", "width": 0}
        facts["revision"] = folder.name if folder and folder.parent.name == "snapshots" else self.revision
        facts |= self._reading(folder, config, cells)
        model = configured(config) if model is None else model
        if self.pooling == "pooler" and not pooler:
            raise DataError(f"{self.source} holds no weights of its pooler; take pooling='mean' or 'cls'")
        pooling = self.pooling
        if pooling is None and folder is not None and self.kind == "text":
            pooling = text.sentence_pooling(folder)
        try:
            encoder = self._encoder(facts, model)
            inputs = encoder.model_inputs(**encoder.prepare(cells[:1]))
            usual = usual_pooling(model, self.kind, inputs, pooler and self.layer is None)
            facts["pooling"] = usual if has_two_towers(config["model_type"]) else pooling or usual
            facts["width"] = self._width(facts, model, cells)
        except (ValueError, RuntimeError, IndexError) as error:
            if isinstance(error, UsageError):
                raise
            raise DataError(f"{self.source} cannot read the first cell ({error!s:.200})") from error
        if self.train == "frozen":
            facts["moments"] = self._frozen(facts, model).measured(cells, random_state)
        return facts

    @torch.inference_mode()
    def _width(self, facts: Learned, model: nn.Module, cells: Sequence) -> int:
        encoder = self._encoder(facts, model).eval()
        return encoder(**encoder.prepare(cells[:1])).shape[1]

    def _architecture(self, folder: Path | None):
        """The settings of a network that starts from random weights."""
        auto = require("transformers", "pretrained").AutoConfig
        changed = dict(self.config or {})
        usual = auto.for_model(self.source) if folder is None else auto.from_pretrained(folder, local_files_only=True)
        settings = usual.to_dict()
        if unknown := next((name for name in changed if name not in settings), None):
            raise UsageError(f"{self.source} has no setting {unknown!r}{nearest(unknown, settings)}")
        if folder is None:
            return auto.for_model(self.source, **changed)
        return auto.from_pretrained(folder, local_files_only=True, **changed)

    def _reading(self, folder: Path | None, config: dict[str, Any], cells: Sequence) -> Learned:
        """How cells are read; settles the vocabulary or size of an architecture without a checkpoint in `config`."""
        if self.kind == "text":
            places = (config.get("text_config") or config).get("max_position_embeddings")
            if folder is not None and (self.train != "scratch" or has_tokenizer(folder)):
                return text.tokenizer_facts(folder, places, self.longest)
            longest = min(self.longest or TOKENS, places or TOKENS)
            facts = text.learnt_tokenizer_facts(cells, config["vocab_size"], longest)
            config["vocab_size"] = text.Tokens(facts["tokenizer"], longest).tokenizer.get_vocab_size()
            return facts
        if self.kind == "image":
            if folder is not None:
                return {"picture": image.picture_facts(folder, self.size)}
            side = self.size or config.get("image_size") or SIDE
            if "image_size" in config:
                config["image_size"] = side
            return {"picture": image.plain_picture_facts(side)}
        if folder is not None:
            return {"sound": audio.sound_facts(folder)}
        drawn = config["model_type"] == "audio-spectrogram-transformer"
        return {"sound": audio.plain_sound_facts(audio.SPECTROGRAMS if drawn else audio.WAVES)}

    def _encoder(self, facts: Learned, model: nn.Module) -> PretrainedEncoder:
        backbone = Backbone(model, facts["kind"], facts["pooling"], self.layer)
        if facts["kind"] == "text":
            return text.PretrainedText(backbone, facts)
        if facts["kind"] == "image":
            return image.PretrainedImage(backbone, facts, self.augment)
        return audio.PretrainedAudio(backbone, facts, self.seconds)

    def _frozen(self, facts: Learned, model: nn.Module) -> Frozen:
        moments = facts.get("moments")
        identity = {name: fact for name, fact in facts.items() if name not in ("moments", "revision")}
        identity |= {"layer": self.layer, "seconds": self.seconds}
        return Frozen(self._encoder(facts, model), facts["kind"], identity, moments=moments, cache=self.cache)

    def build(self, learned: Learned) -> Encoder:
        model = configured(learned["config"])
        if self.train == "frozen":
            return self._frozen(learned, model)
        encoder = self._encoder(learned, model)
        if self.lora is not None:
            with_lora(encoder.backbone, self.lora)
        usual = SMALL_STEPS if self.train == "finetune" and self.lora is None else 1.0
        encoder.lr_scale = usual if self.lr_scale is None else self.lr_scale
        return encoder

    def start(self, encoder: Encoder) -> None:
        if self.train == "scratch":
            return
        inner: Any = encoder.inner if isinstance(encoder, Frozen) else encoder
        model, _ = pretrained(self._folder())
        weights = Backbone(model, inner.backbone.kind, inner.backbone.pooling, self.layer).state_dict()
        fill(inner.backbone, weights)
