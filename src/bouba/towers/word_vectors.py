"""Texts as the mean of ready word vectors: word2vec, GloVe, fastText."""

from __future__ import annotations

import gzip
import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bouba.batch import Inputs
from bouba.data.characters import one_form
from bouba.errors import DataError, UsageError, nearest
from bouba.towers.spec import EncoderSpec, Learned
from bouba.towers.text import BAG, bag
from bouba.towers.tower import Encoder, stack
from bouba.towers.words import candidates, known_words

HEAD = 1 << 16  # bytes from which the format is detected
WAYS = ("frozen", "finetune")


class WordVectorsEncoder(Encoder):
    """Texts -> word numbers (B, L), 0 where there is none -> mean vector (B, width).

    Words without a vector are left out; a text of none but such has a vector of its own, which is learnt from zero. A
    decoder gives back which words occur, hashed into BAG buckets.
    """

    raw_width = BAG

    def __init__(self, spec: WordVectors, learned: Learned):
        super().__init__()
        self.words = {word: number for number, word in enumerate(learned["words"], 1)}
        self.longest, self.width = spec.longest, learned["width"]
        self.embed = nn.Embedding(len(self.words) + 1, self.width, padding_idx=0)
        self.embed.requires_grad_(spec.train == "finetune")
        self.unknown = nn.Parameter(torch.zeros(self.width))

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        rows = [[self.words[word] for word in known_words(one_form(str(cell)), self.words)] for cell in cells]
        return {"words": stack([torch.tensor(numbers[: self.longest] or [0]) for numbers in rows]).int()}

    def raw(self, inputs: Inputs) -> Tensor:
        return bag(inputs["words"] % BAG, inputs["words"] != 0, BAG)

    def forward(self, words: Tensor) -> Tensor:
        counts = (words != 0).sum(1, keepdim=True)  # (B, 1)
        mean = self.embed(words).sum(1) / counts.clamp(min=1)
        return torch.where(counts > 0, mean, self.unknown)


@dataclass(frozen=True)
class WordVectors(EncoderSpec):
    """Mean of the vectors of a text's words, from a word2vec, GloVe or fastText file.

        features = 1/|W| sum_{w in W} v_w,   W the words of the text that have a vector

    Words of like meaning are alike even where training texts lack them; NGrams has only what it was trained on, and a
    sentence encoder (Pretrained) also reads word order, at a thousand times the cost.

    A word is a run of letters and digits, looked up as it is and then in lower case. Runs in Chinese or Japanese script
    are cut from the left into the longest words that have a vector.

    Args:
        path: a text file, a word and its numbers a line, with or without a first line that counts them, also as .gz;
            or word2vec's binary format.
        train: "frozen" leaves the vectors as they are, "finetune" trains them.
        keep: so many words from the start of the file, usually the most frequent, are kept besides those of the
            training texts, for texts to come. The kept ones are saved with the model.
        longest: words read of a text.

    Raises:
        DataError: on fitting, a file that is none of these.

    Reference: Mikolov et al. 2013, Distributed Representations of Words; Pennington et al. 2014, GloVe.
    """

    kind: ClassVar[str] = "text"

    path: str
    _: KW_ONLY
    train: str = "frozen"
    keep: int = 20_000
    longest: int = 256

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.fspath(self.path))
        if self.train not in WAYS:
            raise UsageError(f"no train={self.train!r}{nearest(self.train, WAYS)}")
        if self.keep < 0 or self.longest < 1:
            raise UsageError(f"keep must be 0 or more and longest 1 or more, got {self.keep} and {self.longest}")

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        file = VectorFile(Path(self.path).expanduser())
        needed = set().union(*(candidates(one_form(str(cell))) for cell in cells))
        forms = ((place, one_form(word)) for place, (word, _) in enumerate(file))
        words = {word: None for place, word in forms if place < self.keep or word in needed}
        return {"words": list(words), "width": file.width}

    def build(self, learned: Learned) -> WordVectorsEncoder:
        return WordVectorsEncoder(self, learned)

    def start(self, encoder: Encoder) -> None:
        assert isinstance(encoder, WordVectorsEncoder), "what build gave"
        file = VectorFile(Path(self.path).expanduser())
        vectors, started = np.zeros(encoder.embed.weight.shape, np.float32), set[int]()
        for word, numbers in file:
            place = encoder.words.get(one_form(word))
            if place is not None and place not in started:  # of two spellings the first, which is the more frequent
                vectors[place] = file.vector(word, numbers)
                started.add(place)
        with torch.no_grad():
            encoder.embed.weight.copy_(torch.from_numpy(vectors))


class VectorFile:
    """A file of word vectors, read from start to end without holding it: (word, its numbers as they stand).

    Args:
        file: where it lies.

    Raises:
        DataError: there is none, or its format is not recognised.
    """

    def __init__(self, file: Path):
        self.file = file
        try:
            with self._stream() as stream:
                start = stream.read(HEAD)
        except OSError as error:
            raise DataError(f"cannot read {str(file)!r} ({error.strerror or error})") from error
        first, _, others = start.partition(b"\n")
        counts = first.split()
        self.counted = len(counts) == 2 and all(count.isdigit() for count in counts)
        sample = others.partition(b"\n")[0] if self.counted else first
        self.width = int(counts[1]) if self.counted else len(sample.split()) - 1
        self.binary = self.counted and not _is_line(sample, self.width)
        self.count, self.begin = int(counts[0]) if self.counted else 0, len(first) + 1
        if self.width < 1 or (not self.binary and not _is_line(sample, self.width)):
            raise DataError(
                f"{file} holds no word vectors; a line is a word and its numbers, or the file is word2vec's"
            )
        if self.binary and file.suffix == ".gz":
            raise DataError(f"{file} is packed and binary; unpack it first: gunzip {file.name}")

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return self._binary() if self.binary else self._lines()

    def vector(self, word: str, numbers: bytes) -> np.ndarray:
        """Its numbers as float32 (width,)."""
        try:
            vector = np.frombuffer(numbers, "<f4") if self.binary else np.array(numbers.split(), np.float32)
        except ValueError:
            vector = np.array([np.nan])
        if len(vector) != self.width or not np.isfinite(vector).all():
            raise DataError(f"{self.file}: {word!r} has no {self.width} finite numbers")
        return vector

    def _stream(self):
        return gzip.open(self.file) if self.file.suffix == ".gz" else self.file.open("rb")

    def _lines(self) -> Iterator[tuple[str, bytes]]:
        with self._stream() as stream:
            if self.counted:
                next(stream)
            for line in stream:
                word, *numbers = line.rstrip().rsplit(b" ", self.width)  # a word of some files holds blanks
                if len(numbers) != self.width:
                    raise DataError(f"{self.file}: the line of {word.decode(errors='replace')[:40]!r} breaks off")
                yield word.decode(errors="replace"), b" ".join(numbers)

    def _binary(self) -> Iterator[tuple[str, bytes]]:
        with self.file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            place = self.begin
            for number in range(self.count):
                blank = data.find(b" ", place)
                end = blank + 1 + 4 * self.width
                if blank < 0 or end > len(data):
                    raise DataError(f"{self.file} breaks off after {number} of {self.count} words; copy it again")
                yield data[place:blank].lstrip(b"\n").decode(errors="replace"), data[blank + 1 : end]
                place = end


def _is_line(line: bytes, width: int) -> bool:
    """Whether it is a word and `width` numbers."""
    try:
        numbers = line.decode().split()[-width:]
        return len(numbers) == width and all(np.isfinite(float(number)) for number in numbers)
    except ValueError:
        return False
