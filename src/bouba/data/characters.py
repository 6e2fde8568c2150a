"""One text in several spellings: the form in which texts are compared, and names of files as text.

What is shown stays as it was written but for half surrogates, which no file can hold. What is compared, a label, key,
domain, group, value of a filter or the text that a tower reads, is in `one_form`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from bouba.errors import DataError

if TYPE_CHECKING:
    import numpy as np

JOINERS = "\u200c\u200d"
UNSEEN = "\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_UNSEEN = re.compile(f"[{UNSEEN}]")
_BLANK = re.compile(rf"[\s{UNSEEN}{JOINERS}\ufe0e\ufe0f]*")
# a joiner means something after letters of these scripts (Arabic to Tibetan, Khmer, Mongolian, ...) and after emoji
_JOINED = (
    "\u0600-\u109f\u1780-\u18af\u1900-\u1cff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U00011fff\U0001e900-\U0001eeff"
    "\u00a9\u00ae\u20e3\u2190-\u2bff\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff\U000e0020-\U000e007f"
)
_STRAY_JOINER = re.compile(f"(?<![{_JOINED}])[{JOINERS}]")
_SPACE = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
_LINE_END = re.compile("\r\n|[\u0085\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_BREAK = re.compile("[\t\n\v\f\r\x85\u2028\u2029]+")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_WIDTH = {
    code: chr(int(parts[1], 16))
    for code in (0x3000, *range(0xFF01, 0xFFEF))
    if (parts := unicodedata.decomposition(chr(code)).split()) and parts[0] in ("<wide>", "<narrow>")
}
_PRESENTATION = re.compile("[\ufe0e\ufe0f]")


def written(text: str) -> str:
    """The text as it was written, so that it can be stored: half surrogates become U+FFFD, two that belong together
    their character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _SURROGATE.search(text) else text


def composed(text: str) -> str:
    """As written, letters and their accents composed (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", written(text))


def visible(text: str) -> str:
    """Composed, without what nobody sees: characters of no width, marks of direction and soft hyphens are left out,
    every space is " ", every end of a line "\\n". Joiners stay where they mean something: in emoji, and in scripts
    whose letters join. A text of nothing else stays as it is."""
    if text.isascii():
        return text.replace("\r\n", "\n") if "\r" in text else text
    shown = _STRAY_JOINER.sub("", _UNSEEN.sub("", written(text)))
    return composed(_SPACE.sub(" ", _LINE_END.sub("\n", shown))) or composed(text)


def one_form(text: str) -> str:
    """The form in which a text is compared: visible, full-width and half-width characters as ordinary ones, an emoji
    with or without the mark that asks for its colours. Superscripts, ligatures and the like stay what they are: "m²" is
    not "m2".

    Reference: Unicode Standard Annex 15 (NFC); RFC 8264, 5.2.1 (width mapping).

    >>> one_form("cafe\\u0301") == one_form("ｃａｆ\\u00e9") == "caf\\u00e9"
    True
    >>> one_form("m²")
    'm²'
    """
    if text.isascii():
        return visible(text)
    shown = visible(text)
    return composed(_PRESENTATION.sub("", shown).translate(_WIDTH)) or shown


FORMS: dict[str, Callable[[str], str]] = {"composed": composed, "one": one_form}
"""How a model reads its texts: those that were saved before there was one form only compose letters."""


def form_steps(name: str) -> list[dict[str, str]]:
    """What the form of FORMS with this name does to a text, step by step, for a program in another language; patterns
    are those of Python's `re`. A text of ASCII takes the first step of "one" and no other."""
    surrogates = {"step": "replace half surrogates by U+FFFD"}
    compose = {"step": "normalise", "form": "NFC"}
    if name == "composed":
        return [surrogates, compose]
    return [
        {"step": "replace", "pattern": "\r\n", "by": "\n", "of": "every text"},
        surrogates,
        {"step": "replace", "pattern": _UNSEEN.pattern, "by": ""},
        {"step": "replace", "pattern": _STRAY_JOINER.pattern, "by": ""},
        {"step": "replace", "pattern": _LINE_END.pattern, "by": "\n"},
        {"step": "replace", "pattern": _SPACE.pattern, "by": " "},
        compose,
        {"step": "replace", "pattern": _PRESENTATION.pattern, "by": ""},
        {"step": "map each character that Unicode decomposes as <wide> or <narrow>, and U+3000, to what it stands for"},
        compose,
    ]


def is_blank_text(text: str) -> bool:
    """Whether a text shows nothing."""
    return not text.strip() or (not text.isascii() and _BLANK.fullmatch(text) is not None)


def each(cells: np.ndarray, form: Callable[[str], str] = one_form) -> np.ndarray:
    """The same cells (n,), texts among them in a form; the array itself where nothing changes."""
    if cells.dtype != object or cells.ndim != 1:
        return cells
    forms = {text: form(text) for text in {cell for cell in cells.tolist() if isinstance(cell, str)}}
    changed = {text: other for text, other in forms.items() if text != other}
    if not changed:
        return cells
    result = cells.copy()
    result[:] = [changed.get(cell, cell) if isinstance(cell, str) else cell for cell in cells.tolist()]
    return result


def names(columns: Mapping[Any, Any]) -> dict[Any, Any]:
    """The same columns under names that can be stored. DataError where two of them become one."""
    stored = {written(name) if isinstance(name, str) else name: values for name, values in columns.items()}
    if len(stored) < len(columns):
        raise DataError("two column names hold half characters and nothing else that tells them apart; rename one")
    return stored


def same_name(name: str, known: Collection[str]) -> str:
    """Which of the known names a name is: itself, or the only one of the same form; itself where there is none."""
    return name if name in known else same_names([name], known)[name]


def same_names(names: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Each name -> what `same_name` gives for it."""
    by_form: dict[str, list[str]] = {}
    for other in dict.fromkeys(known):
        by_form.setdefault(one_form(other).strip(), []).append(other)
    alike = {name: by_form.get(one_form(name).strip(), []) for name in names}
    return {name: others[0] if len(others) == 1 else name for name, others in alike.items()}


def printable(text: str) -> str:
    """A text for a terminal or a page: characters that steer it, and those that turn the direction of what follows,
    are written as \\u001b."""
    return text if text.isascii() and text.isprintable() else _CONTROL.sub(lambda c: f"\\u{ord(c[0]):04x}", text)


def one_line(text: str) -> str:
    """A text in one line, for a table."""
    return _LINE_BREAK.sub(" ", text)


def file_text(path: str) -> str:
    """A path as text: a name whose bytes are no UTF-8 is read as Latin-1, each folder for itself, as old archives
    have them."""
    return "/".join(map(_name_text, path.split("/"))) if _SURROGATE.search(path) else path


def _name_text(name: str) -> str:
    try:
        raw = os.fsencode(name)
        return raw.decode("latin-1") if _SURROGATE.search(name) else name
    except UnicodeEncodeError:  # no bytes stand behind it
        return written(name)


def on_disk(path: str) -> str:
    """The path of the file that is meant, whose name may be spelt in another form on the disk; else the path itself."""
    try:
        if path.isascii() or os.path.lexists(path):
            return path
        folder, name = os.path.split(path)
        if not name:
            return path
        parent = on_disk(folder) if folder else folder
        alike = _spellings(parent, os.stat(parent or ".").st_mtime_ns).get(one_form(file_text(name)), ())
    except (OSError, ValueError):  # no such folder, or no path at all
        return path
    return os.path.join(parent, alike[0] if len(alike) == 1 else name)


@lru_cache(maxsize=256)
def _spellings(folder: str, changed: int) -> dict[str, list[str]]:
    """Form of a name -> the names of it in a folder, as it was when it last `changed`."""
    spellings: dict[str, list[str]] = {}
    for name in os.listdir(folder or "."):
        spellings.setdefault(one_form(file_text(name)), []).append(name)
    return spellings


def class_name(value) -> str:
    """A class as text, in one form; 3.0 is "3", because a column of whole numbers with gaps holds floats."""
    whole = isinstance(value, Real) and not isinstance(value, Integral) and float(value).is_integer()
    return str(int(value)) if whole else one_form(str(value))
