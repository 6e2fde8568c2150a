"""Texts for a network of transformers: its tokenizer as JSON, and the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bouba.batch import Inputs
from bouba.data.characters import visible
from bouba.errors import DataError, require
from bouba.towers.backbone import Backbone, PretrainedEncoder
from bouba.towers.checkpoints import has_tokenizer, quiet, read_json
from bouba.towers.text import subwords
from bouba.towers.tower import stack

MOST = 512  # tokens, where the checkpoint sets no limit
SPECIAL = 2  # places that some position tables keep for themselves
SENTENCE_POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}


def tokenizer_facts(folder: Path, places: int | None, longest: int | None) -> dict[str, Any]:
    """The tokenizer of a checkpoint as plain JSON: itself, the token that pads, and how many tokens it reads.

    Args:
        folder: of the checkpoint. places: positions of the network, where it names a number. longest: tokens to read.

    Raises:
        DataError: there is none, or one that cannot be written as JSON.
    """
    transformers = require("transformers", "pretrained")
    if not has_tokenizer(folder):
        raise DataError(f"{folder} holds no tokenizer; copy tokenizer.json beside config.json")
    try:
        with quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        written = tokenizer.backend_tokenizer.to_str()
    except Exception as error:  # each tokenizer fails in its own way
        raise DataError(f"cannot use the tokenizer in {folder} ({error!s:.150}); save a fast one there") from error
    sentence = read_json(folder / "sentence_bert_config.json").get("max_seq_length")
    limits = [n for n in (sentence, tokenizer.model_max_length) if n and n < 1e6]
    limit = min(*limits, places or MOST) if limits else min(MOST, (places or MOST + SPECIAL) - SPECIAL)
    return {"tokenizer": written, "pad": tokenizer.pad_token_id or 0, "longest": min(limit, longest or limit)}


def learnt_tokenizer_facts(texts: Sequence[str], vocabulary: int, longest: int) -> dict[str, Any]:
    """The same of subwords learnt from the data, for a network without a checkpoint."""
    return {"tokenizer": subwords(texts, vocabulary), "pad": 0, "longest": longest}


def sentence_pooling(folder: Path) -> str | None:
    """How sentence-transformers pools this checkpoint; None where its files do not tell.

    Raises:
        DataError: in a way that is not supported.
    """
    pooling = read_json(folder / "1_Pooling" / "config.json")
    if not pooling:
        return "mean" if (folder / "modules.json").is_file() else None
    ways = (
        [pooling["pooling_mode"]] if "pooling_mode" in pooling else [way for way, on in pooling.items() if on is True]
    )
    ways = [SENTENCE_POOLINGS.get(way, way) for way in ways if way != "include_prompt"]
    if len(ways) != 1 or ways[0] not in SENTENCE_POOLINGS.values():
        poolings = "', '".join(SENTENCE_POOLINGS.values())
        raise DataError(f"{folder} pools by {' and '.join(ways)}; give pooling= one of '{poolings}'")
    return ways[0]


class Tokens:
    """Texts -> tokens (B, L) with their special ones, 0 past the end, and lengths (B,)."""

    def __init__(self, tokenizer: str, longest: int):
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_str(tokenizer)
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(longest)

    def __call__(self, cells: Sequence) -> dict[str, Tensor]:
        encodings = self.tokenizer.encode_batch([visible(str(cell)) for cell in cells])
        tokens = [torch.tensor(encoding.ids or [0]) for encoding in encodings]
        return {"tokens": stack(tokens).int(), "lengths": torch.tensor([len(row) for row in tokens])}

    def is_cut(self, cells: Sequence) -> list[bool]:
        """Whether each text has more tokens than are read."""
        return [bool(e.overflowing) for e in self.tokenizer.encode_batch([visible(str(cell)) for cell in cells])]


class PretrainedText(PretrainedEncoder):
    """Texts -> tokens (B, L) and lengths (B,) -> features (B, width). Padding is masked."""

    def __init__(self, backbone: Backbone, facts: dict[str, Any]):
        tokens = Tokens(facts["tokenizer"], facts["longest"])
        super().__init__(backbone, tokens, facts["width"])
        self.pad, self.tokens = facts["pad"], tokens

    def is_cut(self, cells: Sequence) -> list[bool]:
        return self.tokens.is_cut(cells)

    def model_inputs(self, **inputs: Tensor) -> Inputs:
        """As many tokens as the longest text has, padded as the model was trained, and a mask."""
        tokens, lengths = inputs["tokens"], inputs["lengths"]
        tokens = tokens[:, : int(lengths.max())].long()
        real = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        return {"input_ids": tokens.masked_fill(~real, self.pad), "attention_mask": real.long()}

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        inputs = self.model_inputs(tokens=tokens, lengths=lengths)
        return self.backbone(inputs, inputs["attention_mask"].bool())
