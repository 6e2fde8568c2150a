"""Sounds for a pretrained network: waves as wav2vec 2.0 and its kin take them, or the spectrograms of AST."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bouba.batch import Inputs
from bouba.data import decode
from bouba.errors import DataError, require
from bouba.towers.backbone import Backbone, PretrainedEncoder
from bouba.towers.checkpoints import read_json

SHORTEST = 0.1  # seconds; a shorter sound is filled up with silence
SPECTROGRAMS = "ASTFeatureExtractor"
WAVES = "Wav2Vec2FeatureExtractor"


def sound_facts(folder: Path) -> dict[str, Any]:
    """How a checkpoint prepares sounds, as plain JSON: the settings of its feature extractor, with all defaults.

    Raises:
        DataError: no description, or one of a type that is not supported.
    """
    settings = read_json(folder / "preprocessor_config.json")
    settings = settings or read_json(folder / "processor_config.json").get("feature_extractor", {})
    if not settings:
        raise DataError(
            f"{folder} does not say how sounds are prepared; copy preprocessor_config.json beside its config"
        )
    name = settings.get("feature_extractor_type", WAVES)
    if name not in (WAVES, SPECTROGRAMS):
        raise DataError(f"{folder} prepares sounds by {name}; known here are {WAVES} and {SPECTROGRAMS}")
    return plain_sound_facts(name, settings)


def plain_sound_facts(name: str, settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """The settings of a feature extractor with its defaults."""
    extractor = getattr(require("transformers", "pretrained"), name)
    return extractor.from_dict(settings or {}).to_dict()


class Waves:
    """Sounds -> waves (B, n) at `rate`, 0 past the end, of mean 0 and variance 1 if `normalise`, and lengths (B,)."""

    def __init__(self, rate: int, seconds: float, *, normalise: bool):
        self.rate, self.seconds, self.normalise = rate, seconds, normalise

    def samples(self, cell) -> np.ndarray:
        """Samples (n,) of one cell."""
        samples = decode.audio(cell, self.rate, seconds=self.seconds)[: round(self.seconds * self.rate)]
        if self.normalise:
            samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
        return np.pad(samples, (0, max(0, round(SHORTEST * self.rate) - len(samples)))).astype(np.float32)

    def __call__(self, cells: Sequence) -> dict[str, Tensor]:
        with ThreadPoolExecutor(4) as pool:
            sounds = list(pool.map(self.samples, cells))
        lengths = torch.tensor([len(samples) for samples in sounds])
        waves = torch.zeros(len(sounds), int(lengths.max()))
        for row, samples in zip(waves, sounds, strict=True):
            row[: len(samples)] = torch.from_numpy(samples)
        return {"waves": waves, "lengths": lengths}


class Spectrograms:
    """Sounds -> standardised log-mel energies (B, frames, mels), by the extractor of the checkpoint."""

    def __init__(self, facts: dict[str, Any], seconds: float):
        extractor = getattr(require("transformers", "pretrained"), facts["feature_extractor_type"])
        self.extractor, self.rate, self.seconds = extractor.from_dict(facts), facts["sampling_rate"], seconds

    def __call__(self, cells: Sequence) -> dict[str, Tensor]:
        with ThreadPoolExecutor(4) as pool:
            sounds = list(pool.map(lambda cell: decode.audio(cell, self.rate, seconds=self.seconds), cells))
        short = round(SHORTEST * self.rate)
        sounds = [np.pad(samples, (0, max(0, short - len(samples)))) for samples in sounds]
        extracted = self.extractor(sounds, sampling_rate=self.rate, return_tensors="np")
        return {"energies": torch.from_numpy(np.asarray(extracted["input_values"], np.float32))}


class PretrainedAudio(PretrainedEncoder):
    """Sounds -> waves (B, n) and lengths (B,), or energies (B, frames, mels) -> features (B, width).

    Waves of different lengths pass apart: some of these networks normalise over time, and padding would change their
    features.
    """

    def __init__(self, backbone: Backbone, facts: dict[str, Any], seconds: float):
        sound = facts["sound"]
        is_spectrogram = sound["feature_extractor_type"] == SPECTROGRAMS
        waves = Waves(sound["sampling_rate"], seconds, normalise=sound["do_normalize"])
        super().__init__(backbone, Spectrograms(sound, seconds) if is_spectrogram else waves, facts["width"])

    def model_inputs(self, **inputs: Tensor) -> Inputs:
        """Waves must be of one length."""
        if "energies" in inputs:
            return {"input_values": inputs["energies"]}
        return {"input_values": inputs["waves"][:, : int(inputs["lengths"].max())]}

    def forward(self, **inputs: Tensor) -> Tensor:
        if "energies" in inputs:
            return self.backbone(self.model_inputs(**inputs))
        lengths = inputs["lengths"]
        features = None
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero(as_tuple=True)[0]
            part = self.backbone(self.model_inputs(**{name: tensor[rows] for name, tensor in inputs.items()}))
            features = part.new_zeros((len(lengths), part.shape[1])) if features is None else features
            features = features.index_put((rows,), part)
        assert features is not None, "a batch has a row"
        return features
