"""Which text view speaks the language of a text: the one whose training texts share most of its letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from bouba.data.characters import one_form
from bouba.errors import ModalityError

LETTERS = 3000


def alphabet(texts: Iterable) -> str:
    """The characters of the texts in lower case, most frequent first, LETTERS of them at most."""
    counts = Counter("".join(one_form(str(text)) for text in texts).lower())
    return "".join(character for character, _ in counts.most_common(LETTERS))


def text_view(text: str, alphabets: Mapping[str, str], views: Iterable[str]) -> str:
    """The name in `alphabets` that knows most letters of `text`.

    Args:
        text: words somebody typed.
        alphabets: text view -> what `alphabet` gave.
        views: all views of the model, for the message.

    Raises:
        ModalityError: the model has no text view.

    >>> text_view("苹果", {"en": alphabet(["apple"]), "zh": alphabet(["苹果"])}, ["en", "zh"])
    'zh'
    """
    if not alphabets:
        raise ModalityError(f"the model reads no text; it has {', '.join(views)}")
    letters = [character for character in one_form(text).lower() if character.isalnum()]
    return max(alphabets, key=lambda name: sum(character in alphabets[name] for character in letters))
