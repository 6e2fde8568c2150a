"""A tower from an ONNX file, whatever it was trained with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bouba.data import decode
from bouba.errors import DataError, UsageError, nearest, require
from bouba.towers.frozen import Frozen
from bouba.towers.pretrained_audio import Waves
from bouba.towers.pretrained_image import Pixels, plain_picture_facts
from bouba.towers.pretrained_text import MOST, Tokens
from bouba.towers.spec import EncoderSpec, Learned
from bouba.towers.tower import Encoder

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE = 224
DTYPES = {"float": "f4", "float16": "f2", "double": "f8", "int64": "i8", "int32": "i4", "uint8": "u1"}
POOLINGS = ("mean", "cls", "max")


class OnnxEncoder(Encoder):
    """Cells -> tensors that `prepare` makes for their kind -> features (B, width), by onnxruntime on the CPU.

    The file is a buffer of bytes, so that it is saved with the model.
    """

    file: Tensor

    def __init__(self, spec: Onnx, learned: Learned):
        super().__init__()
        self.learned, self.pooling, self.width = learned, spec.pooling, learned["width"]
        self.register_buffer("file", torch.zeros(learned["bytes"], dtype=torch.uint8))
        self._session: Any = None
        if learned["kind"] == "image":
            self.read: Any = Pixels(learned["picture"])
        elif learned["kind"] == "text":
            self.read = Tokens(learned["tokenizer"], learned["longest"])
        elif learned["kind"] == "audio":
            self.read = Waves(spec.rate, spec.seconds, normalise=False)
        else:
            self.read = _vectors

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_session": None}  # a session does not travel; it is made again

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        return self.read(cells)

    def forward(self, **inputs: Tensor) -> Tensor:
        device = next(iter(inputs.values())).device
        inputs = {name: tensor.cpu() for name, tensor in inputs.items()}
        feeds, real = self._feeds(inputs)
        if self._session is None:
            self._session = session(self.file.cpu().numpy().tobytes(), "the ONNX file of this model")
        steps = range(len(next(iter(feeds.values())))) if self.learned["one_by_one"] else [slice(None)]
        outputs = []
        for step in steps:
            part = {name: a[step] if isinstance(step, slice) else a[step : step + 1] for name, a in feeds.items()}
            outputs.append(self._session.run([self.learned["output"]], part)[0])
        return self._pooled(torch.from_numpy(np.concatenate(outputs)).float(), real).to(device)

    def _feeds(self, inputs: dict[str, Tensor]) -> tuple[dict[str, np.ndarray], Tensor | None]:
        """What the session takes, by name, and bool (B, L) of the real tokens of texts."""
        kind, real = self.learned["kind"], None
        if kind == "text":
            tokens = inputs["tokens"][:, : int(inputs["lengths"].max())].long()
            if self.learned["padded"]:
                tokens = torch.nn.functional.pad(tokens, (0, self.learned["longest"] - tokens.shape[1]))
            real = torch.arange(tokens.shape[1]) < inputs["lengths"][:, None]
            by_role = {"tokens": tokens * real, "mask": real.long(), "types": torch.zeros_like(tokens)}
            feeds = {name: by_role[_role(name)] for name in self.learned["inputs"]}
        elif kind == "image":
            pixels = self.read.normalised(inputs["pixels"])
            feeds = dict.fromkeys(
                self.learned["inputs"], pixels.permute(0, 2, 3, 1) if self.learned["last"] else pixels
            )
        else:
            feeds = dict.fromkeys(self.learned["inputs"], next(iter(inputs.values())))
        dtypes = self.learned["inputs"]
        return {name: np.ascontiguousarray(t.numpy(), dtype=dtypes[name]) for name, t in feeds.items()}, real

    def _pooled(self, states: Tensor, real: Tensor | None) -> Tensor:
        if states.dim() == 4:
            states = states.flatten(2).transpose(1, 2)
        if states.dim() == 2:
            return states
        if self.pooling == "cls":
            return states[:, 0]
        real = torch.ones(states.shape[:2], dtype=torch.bool) if real is None else real
        if self.pooling == "max":
            return states.masked_fill(~real[:, :, None], -torch.inf).amax(1)
        return (states * real[:, :, None]).sum(1) / real.sum(1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class Onnx(EncoderSpec):
    """A frozen encoder from an ONNX file (extra `pretrained`). The file is saved with the model.

    Its features are computed once a cell and kept on disk, as those of a frozen Pretrained, which is the choice where a
    checkpoint of transformers exists: it can also be fine-tuned.

    What the file must take: pictures as floats (B, 3, H, W) or (B, H, W, 3); texts as integers (B, L), inputs with
    "mask" or "type" in their names being the mask and zeros; vectors (B, d) or waves (B, n) as floats.

    Args:
        path: of the file.
        kind: "image", "text", "vector" or "audio"; None settles it by the view.
        output: name of the output that holds the features; None takes the first. Outputs (B, L, d) are pooled over
            real tokens, (B, d, h, w) over places.
        pooling: "mean", "cls" (the first) or "max".
        size: side of pictures in pixels; None as in the file, else 224.
        mean, std: pictures are (x - mean) / std, x in [0, 1]; by default those of ImageNet.
        tokenizer: a tokenizer.json; None takes the one beside the file.
        longest: tokens read of a text; None as in the file, else 512.
        rate, seconds: of sounds, in Hz and from their start.
        cache: keep features on disk.

    Raises:
        DataError: on fitting, a file that onnxruntime or these rules cannot use.
    """

    path: str
    _: KW_ONLY
    kind: str | None = None  # type: ignore[assignment, misc]
    output: str | None = None
    pooling: str = "mean"
    size: int | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    tokenizer: str | None = None
    longest: int | None = None
    rate: int = 16_000
    seconds: float = 10.0
    cache: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.fspath(self.path))
        object.__setattr__(self, "tokenizer", None if self.tokenizer is None else os.fspath(self.tokenizer))
        if self.pooling not in POOLINGS:
            raise UsageError(f"no pooling={self.pooling!r}{nearest(self.pooling, POOLINGS)}")

    def on(self, kind: str) -> Onnx:
        network = session(self._bytes(), self.path)
        kinds = _kinds(network.get_inputs()) if self.kind is None else (self.kind,)
        if kind not in kinds:
            raise UsageError(f"Onnx({self.path!r}) reads {' or '.join(kinds)}; its inputs are {_signature(network)}")
        return replace(self, kind=kind)

    def _bytes(self) -> bytes:
        try:
            return Path(self.path).expanduser().read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {self.path!r} ({error.strerror or error})") from error

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        if self.kind is None:
            raise UsageError(f"Onnx({self.path!r}) must know its kind; call .on('image') or give kind=")
        file = self._bytes()
        network = session(file, self.path)
        outputs = [each.name for each in network.get_outputs()]
        if self.output is not None and self.output not in outputs:
            raise UsageError(f"no output {self.output!r}{nearest(self.output, outputs)}")
        inputs = network.get_inputs()
        learned: Learned = {"kind": self.kind, "bytes": len(file), "width": 0, "output": self.output or outputs[0]}
        learned["inputs"] = {each.name: DTYPES.get(each.type[7:-1], "f4") for each in inputs}
        learned["one_by_one"] = inputs[0].shape[0] == 1
        learned |= self._reading(inputs[0].shape)
        try:
            frozen = self.build(learned | {"width": self._trial(learned, cells, file)})
            frozen.inner.file.copy_(_tensor(file))  # type: ignore[operator]
            learned |= {"width": frozen.width, "moments": frozen.measured(cells, random_state)}
        except Exception as error:  # onnxruntime raises classes of its own
            if isinstance(error, UsageError):
                raise
            raise DataError(
                f"{self.path} cannot read the first cell ({error!s:.200}); it takes {_signature(network)}"
            ) from error
        return learned

    def _reading(self, shape: Sequence) -> Learned:
        """How cells become what the file takes."""
        fixed = [side if isinstance(side, int) else None for side in shape]
        if self.kind == "image":
            last = fixed[-1] == 3
            side = self.size or (fixed[1:3] if last else fixed[2:4])[0] or SIDE
            return {"last": last, "picture": plain_picture_facts(side, self.mean, self.std)}
        if self.kind == "text":
            file = Path(self.tokenizer or Path(self.path).parent / "tokenizer.json").expanduser()
            if not file.is_file():
                raise DataError(f"no tokenizer in {file}; give tokenizer= the path of the model's tokenizer.json")
            longest = fixed[1] or self.longest or MOST
            return {"tokenizer": file.read_text(encoding="utf-8"), "longest": longest, "padded": fixed[1] is not None}
        return {}

    def _trial(self, learned: Learned, cells: Sequence, file: bytes) -> int:
        encoder = OnnxEncoder(self, learned)
        encoder.file = _tensor(file)
        features = encoder(**encoder.prepare(cells[:1]))
        if features.dim() != 2 or len(features) != 1:
            raise DataError(
                f"output {learned['output']!r} has shape {tuple(features.shape)}; name another with output="
            )
        return features.shape[1]

    def build(self, learned: Learned) -> Frozen:
        encoder = OnnxEncoder(self, learned)
        facts = {name: fact for name, fact in learned.items() if name != "moments"}
        facts |= {name: getattr(self, name) for name in ("pooling", "rate", "seconds")}
        return Frozen(encoder, learned["kind"], facts, moments=learned.get("moments"), cache=self.cache)

    def start(self, encoder: Encoder) -> None:
        assert isinstance(encoder, Frozen), "what build gave"
        encoder.inner.file.copy_(_tensor(self._bytes()))  # type: ignore[operator]


def session(file: bytes, path: str):
    """An onnxruntime session on the CPU.

    Raises:
        DataError: the bytes are no ONNX model, or one whose weights lie in other files.
    """
    runtime = require("onnxruntime", "pretrained")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads would burn the CPU
    try:
        return runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"cannot use {path} ({reason:.150}); export the model into one ONNX file") from error


def _tensor(file: bytes) -> Tensor:
    return torch.frombuffer(bytearray(file), dtype=torch.uint8)


def _vectors(cells: Sequence) -> dict[str, Tensor]:
    return {"values": torch.from_numpy(np.stack([decode.vector(cell) for cell in cells]))}


def _kinds(inputs: Sequence) -> tuple[str, ...]:
    """What a file may read, by its first input."""
    if "int" in inputs[0].type and "uint8" not in inputs[0].type:
        return ("text",)
    return ("image",) if len(inputs[0].shape) == 4 else ("vector", "audio")


def _role(name: str) -> str:
    return "mask" if "mask" in name.lower() else "types" if "type" in name.lower() else "tokens"


def _signature(network) -> str:
    return ", ".join(f"{each.name} {each.type} {each.shape}" for each in network.get_inputs())
