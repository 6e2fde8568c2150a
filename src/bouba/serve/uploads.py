"""What is sent with a request, as cells: files by what they hold, never by their names, within limits."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from bouba.data import decode
from bouba.errors import DataError
from bouba.serve.limits import Limits, Refusal

DEEPEST = 20  # brackets within brackets


def parsed(text: str, what: str) -> Any:
    """JSON of a field or parameter. Refusal for anything else."""
    try:
        if max(_depths(text), default=0) > DEEPEST:
            raise ValueError("too deep")
        value: Any = json.loads(text, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()  # halves of a pair of surrogates are no text
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"{what} is no JSON: {str(error)[:80]}") from None
    return value


def _depths(text: str) -> Any:
    depth = 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        yield depth


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


class Files:
    """The files of a form by the names of their fields.

    Args:
        contents: field -> bytes. kinds: of views that the model reads.
    """

    def __init__(self, contents: Mapping[str, bytes], kinds: Mapping[str, str], limits: Limits):
        self.contents, self.kinds, self.limits = contents, kinds, limits

    def cell(self, field: Any) -> tuple[str, Any]:
        """The kind of a file, and the cell that it holds.

        Raises:
            Refusal: no such field, a file that is none of what the model reads, one that is too large.
        """
        if not isinstance(field, str) or field not in self.contents:
            raise Refusal(400, f"the form has no file {field!r:.40}; it has {', '.join(self.contents) or 'none'}")
        content = self.contents[field]
        reads = set(self.kinds.values())
        if "image" in reads and (picture := self._picture(content)) is not None:
            return "image", picture
        if "audio" in reads and (sound := self._sound(content)) is not None:
            return "audio", sound
        if "video" in reads:
            return "video", {"bytes": content, "path": None}
        wanted = " or a ".join(
            {"image": "picture", "audio": "sound"}[kind] for kind in sorted(reads & {"image", "audio"})
        )
        raise Refusal(
            415, f"{field} is no file that can be read here; send a {wanted}" if wanted else "this model reads no files"
        )

    def _picture(self, content: bytes) -> Any:
        """None for what is no picture."""
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(content)) as header:
                size = header.size
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
            return None
        except Image.DecompressionBombError:
            size = (self.limits.pixels, 2)
        if size[0] * size[1] > self.limits.pixels:
            raise Refusal(413, f"a picture has {self.limits.pixels / 1e6:g} million pixels at most; send a smaller one")
        try:
            return decode.image({"bytes": content, "path": None})
        except DataError as error:
            raise Refusal(415, str(error)) from None

    def _sound(self, content: bytes) -> Any:
        """None for what is no sound."""
        import soundfile

        try:
            header = soundfile.info(io.BytesIO(content))
        except (RuntimeError, OSError, ValueError):
            return None
        if header.frames / max(header.samplerate, 1) > self.limits.seconds:
            raise Refusal(413, f"a sound has {self.limits.seconds:g} seconds at most; send a shorter one")
        try:
            return decode.stored_audio({"bytes": content, "path": None}, header.samplerate)
        except DataError as error:
            raise Refusal(415, str(error)) from None


def parts_of(query: Any, files: Files, limits: Limits) -> list[dict[str, Any]]:
    """The parts of a question as `Run.search` takes them.

    Raises:
        Refusal: a part of another form, or too many.
    """
    parts = query.get("parts", []) if isinstance(query, Mapping) else None
    if not isinstance(parts, list) or len(parts) > limits.parts:
        raise Refusal(400, f'query is {{"parts": [at most {limits.parts}], ...}}')
    return [_part(part, files, limits) for part in parts]


def known(given: Mapping[str, Any], names: Collection[str], what: str) -> None:
    """Refusal where an object of JSON holds a name that means nothing."""
    for name in given:
        if name not in names:
            raise Refusal(400, f"{what} has no {name!r:.60}; it has {', '.join(names)}")


def _part(part: Any, files: Files, limits: Limits) -> dict[str, Any]:
    if not isinstance(part, Mapping) or part.get("sign", 1) not in (1, -1):
        raise Refusal(400, 'a part is {"text": words}, {"file": field} or {"row": number}, with "sign": 1 or -1')
    what = next((each for each in ("file", "row") if each in part), "text")
    known(part, (what, "sign"), f"a part with a {what}")
    sign = {"sign": part.get("sign", 1)}
    if "file" in part:
        kind, cell = files.cell(part["file"])
        return {"cell": cell, "view": kind, **sign}
    if "row" in part:
        return {"row": part["row"], **sign}
    return {"text": words_of(part.get("text"), limits), **sign}


def words_of(text: Any, limits: Limits) -> str:
    """Words of a question. Refusal for anything else, and for too many."""
    if not isinstance(text, str) or not text.strip():
        raise Refusal(400, "say what to look for: some words")
    if len(text) > limits.words:
        raise Refusal(413, f"a text has {limits.words} characters at most")
    return text


def cells_of(given: Any, files: Files, limits: Limits) -> dict[str, Any]:
    """View -> cell of one row, from JSON: a text, a number, a list of numbers, a record, or {"file": field}.

    Raises:
        Refusal: no view of the model, or another form.
    """
    if not isinstance(given, Mapping) or not given:
        raise Refusal(400, f"cells is {{VIEW: text, numbers or file}}; the views are {', '.join(files.kinds)}")
    cells = {}
    for view, value in given.items():
        if view not in files.kinds:
            raise Refusal(400, f"the model has no view {view!r:.60}; it has {', '.join(files.kinds)}")
        cells[view] = _cell(view, value, files, limits)
    return cells


def _cell(view: str, value: Any, files: Files, limits: Limits) -> Any:
    kind = files.kinds[view]
    if kind == "text":
        return words_of(value, limits)
    if kind in ("image", "audio", "video"):
        found, cell = files.cell(value.get("file") if isinstance(value, Mapping) else value)
        if found != kind:
            raise Refusal(415, f"{view!r} is {kind}, the file holds {found}")
        return cell
    if kind == "table" and isinstance(value, Mapping):
        return dict(value)
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in numbers):
        raise Refusal(400, f"{view!r} holds numbers")
    return np.asarray(numbers, np.float32)
