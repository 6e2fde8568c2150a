"""Where the files of a pretrained network lie, and what they record about it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bouba.errors import DataError, UsageError, require
from bouba.towers.packages import PACKAGES

TWO_TOWERS = ("CLIPConfig", "ChineseCLIPConfig")  # one checkpoint, a tower for pictures and one for texts
READS = {"input_ids": "text", "pixel_values": "image", "input_values": "audio"}
FILES = ("*.json", "*.txt", "*.model", "model*.safetensors")
OLD_FILES = ("pytorch_model*.bin",)  # of repositories without safetensors
WEIGHTS = ("*.safetensors", "*.bin")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
PATIENCE = 5.0  # seconds until the hub must have answered


def checkpoint_named(source: str) -> str:
    """The name on the hub of what a packaged encoder is called here; every other source as it is.

    Raises:
        UsageError: a packaged encoder without a checkpoint.

    >>> checkpoint_named("minilm")
    'sentence-transformers/all-MiniLM-L6-v2'
    """
    package = PACKAGES.get(source)
    if package is None or Path(source).is_dir():
        return source
    if not package.checkpoint:
        other = f" or Pretrained({package.relative!r})" if package.relative else ""
        raise UsageError(f"{source} has no checkpoint of transformers; take Packaged({source!r}){other}")
    return package.checkpoint


def folder_of(source: str | os.PathLike, revision: str | None) -> Path:
    """The directory with the files of a checkpoint. A directory is taken as it is, without a network.

    Of a name on the hub, what lies in the hub's cache is taken; only what is not there is downloaded.

    Raises:
        DataError: no such directory, or a name that cannot be had.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise DataError(f"{folder} holds no config.json; give the directory that save_pretrained wrote")
        return folder
    name = os.fspath(source)
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or folder.exists():
        raise DataError(f"no such directory: {name!r}; give one that holds config.json, or a name on the hub")
    hub = require("huggingface_hub", "pretrained")
    got = _snapshot(hub, name, revision, FILES, cached=True)
    if got is not None and _has(got, ("config.json",)) and _has(got, WEIGHTS):
        return got
    got = _snapshot(hub, name, revision, FILES, cached=False)
    return got if _has(got, WEIGHTS) else _snapshot(hub, name, revision, (*FILES, *OLD_FILES), cached=False)


def _snapshot(hub, name: str, revision: str | None, files: tuple[str, ...], *, cached: bool) -> Any:
    """The folder of a snapshot; None where the cache has none."""
    try:
        with _quiet_hub(hub):
            options = {"revision": revision, "allow_patterns": list(files), "etag_timeout": PATIENCE}
            return Path(hub.snapshot_download(name, local_files_only=cached, **options))
    except Exception as error:  # no network, no such name, a gate: each library below has errors of its own
        if cached:
            return None
        reason = str(error).strip().splitlines()[0][:150] if str(error).strip() else type(error).__name__
        raise DataError(
            f"cannot get {name!r} from the hub ({type(error).__name__}: {reason}); "
            f"without a network give the path of a directory that holds the checkpoint"
        ) from error


@contextmanager
def _quiet_hub(hub) -> Iterator[None]:
    """Without warnings about each attempt; the error has the reason."""
    before = hub.logging.get_verbosity()
    hub.logging.set_verbosity_error()
    try:
        yield
    finally:
        hub.logging.set_verbosity(before)


def _has(folder: Path, patterns: tuple[str, ...]) -> bool:
    return any(path for pattern in patterns for path in folder.glob(pattern))


def has_tokenizer(folder: Path) -> bool:
    """Whether a directory holds the files of a tokenizer."""
    return _has(folder, TOKENIZERS)


def read_json(file: Path) -> dict[str, Any]:
    """The contents of a JSON file; {} where there is none.

    Raises:
        DataError: it is no JSON.
    """
    if not file.is_file():
        return {}
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file} is no JSON ({error}); copy the checkpoint again") from error


def has_two_towers(model_type: str | None) -> bool:
    """Whether checkpoints of an architecture hold one tower for pictures and one for texts, in a shared space."""
    configs = require("transformers", "pretrained").CONFIG_MAPPING
    return model_type in configs and configs[model_type].__name__ in TWO_TOWERS


def kinds_of(model_type: str | None, checkpoint: str) -> tuple[str, ...]:
    """The kinds of modality that an architecture reads.

    Args:
        model_type: as in config.json. checkpoint: its name in messages.

    Raises:
        UsageError: transformers does not know it, or it is of a type that is not supported.
    """
    transformers = require("transformers", "pretrained")
    if has_two_towers(model_type):
        return ("image", "text")
    if model_type is None or model_type not in transformers.CONFIG_MAPPING:
        raise UsageError(f"{checkpoint} is of type {model_type!r}, which this transformers does not know; upgrade it")
    network = _network(transformers, model_type)
    modalities = getattr(network, "input_modalities", "text")
    several = not isinstance(modalities, str) and len(modalities) > 1
    encodes = not getattr(transformers.CONFIG_MAPPING[model_type](), "is_encoder_decoder", False)
    kind = READS.get(getattr(network, "main_input_name", ""))
    if kind is None or several or not encodes or "video" in modalities:
        raise UsageError(
            f"{checkpoint} is of type {model_type!r}; there are towers for encoders of text, pictures or sound such as "
            f"BERT, ResNet, ViT, wav2vec 2.0 and AST, and for clip and chinese_clip"
        )
    return (kind,)


def _network(transformers, model_type: str):
    config = transformers.CONFIG_MAPPING[model_type]
    network = transformers.MODEL_MAPPING.get(config, None)
    return network[0] if isinstance(network, list | tuple) else network


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, transformers neither draws bars nor reports what it loads: bouba checks that itself."""
    import transformers

    logs = transformers.utils.logging
    level, bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        yield
    finally:
        logs.set_verbosity(level)
        if bars:
            logs.enable_progress_bar()
