"""Text encoders trained from scratch: bag of n-grams, and an LSTM over subwords learnt from the data."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from bouba.data import decode
from bouba.towers.tower import Encoder, EncoderSpec, Learned, stack


class NGramsEncoder(Encoder):
    """Text -> hashed n-gram numbers (B, L), 0 where there is none -> features (B, width)."""

    def __init__(self, spec: NGrams):
        super().__init__()
        self.spec, self.width = spec, spec.width
        self.embed = nn.EmbeddingBag(spec.buckets + 1, spec.width, mode="mean", padding_idx=0)
        self.layers = nn.Sequential(nn.LayerNorm(spec.width), nn.Linear(spec.width, spec.width), nn.GELU())

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        grams = [n_grams(decode.text(cell)[: self.spec.read], self.spec.longest) for cell in cells]
        return {"grams": stack([torch.tensor([self._bucket(g) for g in some], dtype=torch.int64) for some in grams])}

    def _bucket(self, gram: str) -> int:
        return zlib.crc32(gram.encode()) % self.spec.buckets + 1

    def forward(self, grams: Tensor) -> Tensor:
        return self.layers(self.embed(grams))


def n_grams(text: str, longest: int) -> list[str]:
    """Words, and character runs of 1 to `longest`, blanks marking where words begin and end.

    >>> n_grams("Ox", 2)
    ['<ox>', ' ', 'o', 'x', ' ', ' o', 'ox', 'x ']
    """
    padded = f" {' '.join(text.lower().split())} "
    words = [f"<{word}>" for word in padded.split()]
    return words + [padded[i : i + n] for n in range(1, longest + 1) for i in range(len(padded) - n + 1)]


@dataclass(frozen=True)
class NGrams(EncoderSpec):
    """Mean of the embeddings of words and character n-grams, hashed into buckets; then one layer.

    Works for any language without a vocabulary (Chinese words are n-grams), knows parts of words it never saw,
    and trains in seconds. It does not know word order: use LSTM where order matters and there is more data.

    Args:
        buckets: size of the hash table; collisions share an embedding.
        longest: longest character n-gram.
        width: width of the embeddings and of the features.
        read: characters read of a text; the rest is cut.

    Reference: Bojanowski et al. 2017, Enriching Word Vectors with Subword Information.
    """

    kind: ClassVar[str] = "text"

    buckets: int = 20_000
    longest: int = 4
    width: int = 256
    read: int = 1000

    def build(self, learned: Learned) -> NGramsEncoder:
        return NGramsEncoder(self)


class LSTMEncoder(Encoder):
    """Text -> subword numbers (B, L), 0 = padding -> features (B, 2 * width)."""

    def __init__(self, spec: LSTM, learned: Learned):
        from tokenizers import Tokenizer

        super().__init__()
        self.tokenizer = Tokenizer.from_str(learned["tokenizer"])
        self.longest, self.width = spec.longest, 2 * spec.width
        self.embed = nn.Embedding(self.tokenizer.get_vocab_size(), spec.width, padding_idx=0)
        self.dropout = nn.Dropout(spec.dropout)
        self.lstm = nn.LSTM(spec.width, spec.width, batch_first=True, bidirectional=True)

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        encoded = self.tokenizer.encode_batch([decode.text(cell) for cell in cells])
        ids = [[i for i in e.ids if i != 0][: self.longest] or [1] for e in encoded]  # a written "[PAD]" pads nothing
        return {"tokens": stack([torch.tensor(some, dtype=torch.int64) for some in ids])}

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = (tokens != 0).sum(1).clamp(min=1)
        embedded = self.dropout(self.embed(tokens[:, : int(lengths.max())]))
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, padding_value=-1e4)
        return states.amax(1)  # (B, 2 * width); padding never wins the maximum


@dataclass(frozen=True)
class LSTM(EncoderSpec):
    """A bidirectional LSTM over subwords, max-pooled. The subwords (byte-pair encoding) are learnt from the data.

    Args:
        vocabulary: largest number of subwords.
        width: width of the embeddings and of each direction; features are (B, 2 * width).
        longest: subwords read of a text; the rest is cut.
        dropout: on the embeddings, while training.

    Reference: Hochreiter & Schmidhuber 1997; Conneau et al. 2017 (max-pooling); Sennrich et al. 2016 (subwords).
    """

    kind: ClassVar[str] = "text"

    vocabulary: int = 4000
    width: int = 128
    longest: int = 64
    dropout: float = 0.1

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        return {"tokenizer": subwords([decode.text(cell) for cell in cells], self.vocabulary)}

    def build(self, learned: Learned) -> LSTMEncoder:
        return LSTMEncoder(self, learned)


def subwords(texts: Sequence[str], vocabulary: int) -> str:
    """A byte-pair-encoding tokenizer trained on the texts, as JSON; 0 pads, 1 stands for the unknown."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=["[PAD]", "[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str()
