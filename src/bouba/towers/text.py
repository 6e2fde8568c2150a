"""Text encoders trained from scratch: bag of n-grams, and an LSTM over subwords learnt from the data."""

from __future__ import annotations

import re
import zlib
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bouba.batch import Inputs
from bouba.data.augment import refuse_share
from bouba.data.characters import FORMS, one_form
from bouba.device import waits
from bouba.towers.portable import Port, Portable, of_text
from bouba.towers.spec import EncoderSpec, Learned
from bouba.towers.tower import Encoder, stack
from bouba.towers.traced import TracedLSTM, TracedNGrams

BAG = 512
FIRST = 2  # subwords begin here; 0 pads, 1 is unknown


class NGramsEncoder(Encoder):
    """Text -> hashed n-gram numbers (B, L), 0 where there is none -> features (B, width).

    `prepare` gives the grams of a text, its words first, and the number of the word each belongs to, so that `vary`
    can drop words. A decoder gives back which words occur, hashed into BAG buckets.
    """

    raw_width = BAG

    def __init__(self, spec: NGrams, learned: Learned):
        super().__init__()
        self.form_name = learned.get("form", "one")
        self.form = FORMS[self.form_name]
        self.spec, self.width = spec, spec.width
        self.embed = nn.EmbeddingBag(spec.buckets + 1, spec.width, mode="mean", padding_idx=0)
        self.layers = nn.Sequential(nn.LayerNorm(spec.width), nn.Linear(spec.width, spec.width), nn.GELU())

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        parsed = [n_grams(self.form(str(cell))[: self.spec.read], self.spec.longest) for cell in cells]
        grams = stack([torch.tensor([self._bucket(gram) for gram in grams]) for grams, _ in parsed])
        return {"grams": grams.int(), "words": stack([torch.tensor(words) for _, words in parsed]).int()}

    def is_cut(self, cells: Sequence) -> list[bool]:
        return [len(self.form(str(cell))) > self.spec.read for cell in cells]

    def _bucket(self, gram: str) -> int:
        return zlib.crc32(gram.encode()) % self.spec.buckets + 1

    def vary(self, inputs: Inputs) -> Inputs:
        if not self.spec.drop:
            return inputs
        return {"grams": inputs["grams"] * kept_words(inputs["words"], self.spec.drop)}

    def raw(self, inputs: Inputs) -> Tensor:
        grams, words = inputs["grams"], inputs["words"]
        is_word = torch.arange(grams.shape[1], device=grams.device) < words.amax(1, keepdim=True)  # they stand first
        return bag(grams % BAG, is_word, BAG)

    def portable(self) -> Portable:
        hashed = "crc32 of its UTF-8 bytes, modulo buckets, plus 1; 0 pads"
        facts = {"lower": True, "read": self.spec.read, "longest": self.spec.longest, "buckets": self.spec.buckets}
        grams = "the text between two blanks, each run of white space as one blank: <word> for each match of \\w+ (of "
        grams += "\\S+ where there is none), then every run of 1 to `longest` characters"
        preparation = of_text("n-grams", self.form_name, **facts, grams=grams, number=hashed)
        return Portable(TracedNGrams(self), {"grams": Port("int64", ("grams",))}, preparation)

    def forward(self, grams: Tensor, words: Tensor | None = None) -> Tensor:
        return self.layers(self.embed(grams))


def n_grams(text: str, longest: int) -> tuple[list[str], list[int]]:
    """Words, then character runs of 1 to `longest`, blanks marking where words begin and end; and the word of each.

    A word is a run of letters and digits, or of anything but blanks in a text without any. A character run belongs to
    the word its first character stands in; what stands between two words belongs to the second, at the end to the last.

    >>> n_grams("An ox", 1)
    (['<an>', '<ox>', ' ', 'a', 'n', ' ', 'o', 'x', ' '], [1, 2, 1, 1, 1, 2, 2, 2, 2])
    """
    padded = f" {' '.join(text.lower().split())} "
    words = list(re.finditer(r"\w+", padded)) or list(re.finditer(r"\S+", padded))
    ends = [word.end() for word in words]
    owner = [min(bisect(ends, place) + 1, max(1, len(ends))) for place in range(len(padded))]
    grams, owners = [f"<{word[0]}>" for word in words], list(range(1, len(words) + 1))
    for n in range(1, min(longest, len(padded)) + 1):
        places = range(len(padded) - n + 1)
        grams += [padded[place : place + n] for place in places]
        owners += owner[: len(places)]
    return grams, owners


def kept_words(words: Tensor, drop: float) -> Tensor:
    """bool (B, L): each word of a text stays with probability 1 - drop, all of its parts together, at least one word.

    Args:
        words: int (B, L), the number of the word each part belongs to, from 1; 0 = padding.
        drop: in [0, 1).
    """
    last = words.amax(1, keepdim=True)  # (B, 1)
    most = words.shape[1] if waits(words.device) else int(last.max())  # each word has a part or more
    numbers = torch.arange(1, most + 1, device=words.device)  # (W,)
    uniform = torch.rand(len(words), len(numbers), device=words.device).masked_fill(numbers > last, -1.0)
    keep = (uniform >= drop) | (uniform == uniform.amax(1, keepdim=True))
    return F.pad(keep, (1, 0)).gather(1, words.long())  # number 0 is never kept


def bag(numbers: Tensor, counts: Tensor, width: int) -> Tensor:
    """Which of `width` numbers a row holds: 0, or whatever gives the row a mean square of 1. Zeros for an empty row.

    Args:
        numbers: int (B, L) in [0, width). counts: bool (B, L), which of them count.
    """
    held = torch.zeros(len(numbers), width, device=numbers.device)
    held = held.scatter_reduce(1, numbers.long(), counts.float(), "amax")
    return held * (width / held.sum(1, keepdim=True).clamp(min=1)).sqrt()


@dataclass(frozen=True)
class NGrams(EncoderSpec):
    """Mean of the embeddings of words and character n-grams, hashed into buckets; then one layer.

    Works for any language without a vocabulary (Chinese words are n-grams), shares parts of words that are new to it,
    and trains in seconds. It ignores word order: use LSTM or Transformer where order matters.

    Args:
        buckets: size of the hash table; collisions share an embedding.
        longest: longest character n-gram.
        width: width of the embeddings and of the features.
        read: characters read of a text; the rest is cut.
        drop: probability in [0, 1) that a word and its n-grams are left out while training; one word always stays.
            It trains the tower on texts with less information than those of the data.

    Reference: Bojanowski et al. 2017, Enriching Word Vectors with Subword Information; Iyyer et al. 2015, Deep
    Unordered Composition Rivals Syntactic Methods (word dropout; departure: a text is never left empty).
    """

    kind: ClassVar[str] = "text"

    buckets: int = 20_000
    longest: int = 4
    width: int = 256
    read: int = 1000
    drop: float = 0.0

    def __post_init__(self) -> None:
        refuse_share("drop", self.drop)

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        return {"form": "one"}

    def build(self, learned: Learned) -> NGramsEncoder:
        return NGramsEncoder(self, learned)


class SubwordEncoder(Encoder):
    """Text -> subword numbers (B, L), 0 = padding -> features; a decoder gives back which subwords occur."""

    def __init__(self, spec: SubwordSpec, learned: Learned):
        from tokenizers import Tokenizer

        super().__init__()
        self.tokenizer = Tokenizer.from_str(learned["tokenizer"])
        self.form_name = learned.get("form", "one")
        self.form, self.longest, self.drop = FORMS[self.form_name], spec.longest, spec.drop
        self.raw_width = self.tokenizer.get_vocab_size()
        self.embed = nn.Embedding(self.raw_width, spec.width, padding_idx=0)
        self.dropout = nn.Dropout(spec.dropout)

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        encoded = self.tokenizer.encode_batch([self.form(str(cell)) for cell in cells])
        # a written "[PAD]" pads nothing, and an empty text is one unknown word
        rows = [
            [(i, (w or 0) + 1) for i, w in zip(e.ids, e.word_ids) if i != 0][: self.longest] or [(1, 1)]
            for e in encoded
        ]
        parts = ("tokens", "words")
        return {part: stack([torch.tensor(row)[:, k] for row in rows]).int() for k, part in enumerate(parts)}

    def is_cut(self, cells: Sequence) -> list[bool]:
        encoded = self.tokenizer.encode_batch([self.form(str(cell)) for cell in cells])
        return [sum(number != 0 for number in e.ids) > self.longest for e in encoded]

    def vary(self, inputs: Inputs) -> Inputs:
        if not self.drop:
            return inputs
        keep = kept_words(inputs["words"], self.drop)
        order = keep.sort(dim=1, descending=True, stable=True).indices  # words that stay move up, in order
        return {"tokens": (inputs["tokens"] * keep).gather(1, order)}

    def raw(self, inputs: Inputs) -> Tensor:
        return bag(inputs["tokens"], inputs["tokens"] != 0, self.raw_width)

    def likely(self, raw: np.ndarray, most: int) -> list[list[str]]:
        """The subwords that a decoder gave (B, raw_width) the largest numbers, largest first."""
        order = np.argsort(-raw[:, FIRST:], axis=1, kind="stable")[:, :most] + FIRST
        return [[str(self.tokenizer.id_to_token(int(number))) for number in row] for row in order]

    def portable_as(self, network: nn.Module) -> Portable:
        """For other programs, by a network of tokens (B, L)."""
        facts = {"tokenizer": "tokenizer.json", "drop": 0, "empty": [1], "longest": self.longest, "pad": 0}
        order = "drop the numbers 0, keep the first `longest`, take `empty` where none is left, pad behind with 0"
        preparation = of_text("tokens", self.form_name, **facts, order=order)
        files = {"tokenizer.json": self.tokenizer.to_str().encode()}
        return Portable(network, {"tokens": Port("int64", ("tokens",))}, preparation, files)

    def embedded(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens (B, L) -> their embeddings (B, L', width), cut to the longest text, and lengths (B,), 1 or more."""
        lengths = (tokens != 0).sum(1).clamp(min=1)
        return self.embed(tokens[:, : int(lengths.max())]), lengths


@dataclass(frozen=True)
class SubwordSpec(EncoderSpec):
    """What encoders of subwords share. The subwords (byte-pair encoding) are learnt from the data.

    Args:
        vocabulary: largest number of subwords.
        width: width of the embeddings.
        longest: subwords read of a text; the rest is cut.
        dropout: probability of dropping a number while training.
        drop: probability in [0, 1) that a word is left out while training, all its subwords together; one always stays.

    Reference: Sennrich et al. 2016 (subwords); Iyyer et al. 2015 (word dropout).
    """

    kind: ClassVar[str] = "text"

    vocabulary: int = 4000
    width: int = 128
    longest: int = 64
    dropout: float = 0.1
    drop: float = 0.0

    def __post_init__(self) -> None:
        refuse_share("drop", self.drop)

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        return {"tokenizer": subwords([one_form(str(cell)) for cell in cells], self.vocabulary), "form": "one"}


class LSTMEncoder(SubwordEncoder):
    """Subword numbers (B, L) -> features (B, 2 * width), the largest of each number over all states."""

    def __init__(self, spec: LSTM, learned: Learned):
        super().__init__(spec, learned)
        self.width = 2 * spec.width
        self.lstm = nn.LSTM(spec.width, spec.width, batch_first=True, bidirectional=True)

    def portable(self) -> Portable:
        return self.portable_as(TracedLSTM(self))

    def forward(self, tokens: Tensor, words: Tensor | None = None) -> Tensor:
        embedded, lengths = self.embedded(tokens)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(embedded), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, padding_value=-1e4)
        return states.amax(1)  # (B, 2 * width); padding never wins the maximum


@dataclass(frozen=True)
class LSTM(SubwordSpec):
    """A bidirectional LSTM over subwords, max-pooled: features (B, 2 * width). `dropout` acts on the embeddings.

    It reads word order, from few texts and in one pass. Transformer compares words far apart and needs more texts;
    NGrams ignores order and trains fastest. For the arguments see SubwordSpec.

    Reference: Hochreiter & Schmidhuber 1997; Conneau et al. 2017 (max-pooling).
    """

    def build(self, learned: Learned) -> LSTMEncoder:
        return LSTMEncoder(self, learned)


def with_form(learned: Learned, spec: object) -> Learned:
    """What an encoder of a saved model learnt: where it does not tell how its texts are read, as they were before."""
    return ({"form": "composed"} if isinstance(spec, NGrams | SubwordSpec) else {}) | learned


def subwords(texts: Sequence[str], vocabulary: int) -> str:
    """A byte-pair-encoding tokenizer trained on the texts, as JSON; 0 pads, 1 stands for the unknown."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=["[PAD]", "[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str()
