"""README.md beside exported files: what they are, and a short program that runs one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PICTURE = """
from PIL import Image

picture = Image.open("picture.png").convert("RGB")
side = view["preparation"]["size"]
scale = side / max(picture.size)
method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
small = picture.resize([max(1, round(length * scale)) for length in picture.size], method)
square = Image.new("RGB", (side, side), "white")
square.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
inputs = {"pixels": np.asarray(square).transpose(2, 0, 1)[None]}
"""
CROPPED = """
from PIL import Image, ImageChops

picture = Image.open("picture.png").convert("RGB")
side, margin = (view["preparation"][name] for name in ("size", "crop_white_margin"))
ink = ImageChops.difference(picture, Image.new("RGB", picture.size, "white")).convert("L")
picture = picture.crop(ink.point(lambda value: 255 * (value > margin["tolerance"])).getbbox())
scale = side / max(picture.size)
method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
small = picture.resize([max(1, round(length * scale)) for length in picture.size], method)
square = Image.new("RGB", (side, side), "white")
square.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
inputs = {"pixels": np.asarray(square).transpose(2, 0, 1)[None]}
"""
TOKENS = """
from tokenizers import Tokenizer

how = view["preparation"]
tokens = Tokenizer.from_file(how["tokenizer"]).encode("a red circle").ids
tokens = [token for token in tokens if token != how["drop"]][: how["longest"]] or how["empty"]
inputs = {"tokens": np.array([tokens])}
"""
N_GRAMS = r"""
import re
import zlib

how = view["preparation"]
text = f" {' '.join('a red circle'[: how['read']].lower().split())} "
grams = [f"<{word}>" for word in re.findall(r"\w+", text) or re.findall(r"\S+", text)]
for n in range(1, how["longest"] + 1):
    grams += [text[start : start + n] for start in range(len(text) - n + 1)]
inputs = {"grams": np.array([[zlib.crc32(gram.encode()) % how["buckets"] + 1 for gram in grams]])}
"""
NUMBERS = """
numbers = [1.0] * view["preparation"]["width"]  # in the order of "columns", where they have names
inputs = {"values": np.array([numbers], np.float32)}
"""
OTHERS = """
ones = {"float32": np.float32, "int64": np.int64, "uint8": np.uint8, "bool": np.bool_}
inputs = {  # as "preparation" in export.json says; here ones
    name: np.ones([side if isinstance(side, int) else 1 for side in each["shape"]], ones[each["dtype"]])
    for name, each in view["inputs"].items()
}
"""
PROGRAMS = {"picture": PICTURE, "tokens": TOKENS, "n-grams": N_GRAMS, "numbers": NUMBERS}
"""How cells are prepared -> the lines that make the inputs of one; the first that a run has is shown."""


def readme(run: Any, facts: Mapping[str, Any]) -> str:
    """The text, for a Run and what its export.json holds."""
    lines = [
        f"# {run.path.name}, as ONNX",
        "",
        f"Towers of a model by bouba ({facts['method']}): each file takes the cells of one view and gives its "
        "embedding. Embeddings of the views of one thing lie near each other; they are compared by "
        f"{facts['compared_by']}.",
        "",
        "| view | kind | file | inputs |",
        "|---|---|---|---|",
    ]
    for name, view in facts["views"].items():
        inputs = ", ".join(f"`{port}` {each['dtype']} {_shape(each['shape'])}" for port, each in view["inputs"].items())
        lines.append(f"| {_cell(name)} | {view['kind']} | `{view['file']}` | {inputs} |")
    if fusion := facts.get("fusion"):
        gives = ", ".join(f"`{output}`" for output in fusion["outputs"])
        lines += [
            "",
            f"`fusion.onnx` takes the embeddings of all views and which of them are there, and gives {gives}.",
        ]
    for name, reason in facts["left_out"].items():
        lines += ["", f"- {_cell(name)}: {reason}."]
    lines += ["", "How cells become inputs stands in `export.json`, by view, under `preparation`.", ""]
    return "\n".join([*lines, "```python", program(facts), "```", ""])


def program(facts: Mapping[str, Any]) -> str:
    """A program that gives the embedding of one cell."""
    how_of = {name: view["preparation"]["how"] for name, view in facts["views"].items()}
    name = next((name for how in PROGRAMS for name, of in how_of.items() if of == how), next(iter(how_of)))
    lines = PROGRAMS.get(how_of[name], OTHERS)
    if facts["views"][name]["preparation"].get("crop_white_margin"):
        lines = CROPPED
    opening = "import json\n\nimport numpy as np\nimport onnxruntime\n\n"
    opening += f'view = json.load(open("export.json"))["views"][{name!r}]'
    closing = 'print(onnxruntime.InferenceSession(view["file"]).run(None, inputs)[0])'
    return f"{opening}\n{lines.strip()}\n{closing}"


def _shape(shape: list[int | str]) -> str:
    return " x ".join(map(str, shape))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
