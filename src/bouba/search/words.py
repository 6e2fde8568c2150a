"""Words that training met, so that a search can say which of a question's it hardly did."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bouba import durable
from bouba.data.characters import one_form
from bouba.errors import DataError
from bouba.files import read_json

OFTEN = 2  # texts that a word must stand in
MOST = 50_000  # words of a view that are kept, the most frequent
# scripts that put no blank between words: there a character counts as a word
_WORDS = re.compile(
    r"[\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\d_\u0e00-\u109f\u3040-\u9fff]+"
)
FORMAT = 1


def words_of(text: str) -> list[str]:
    """The words of a text in one form and lower case.

    >>> words_of("Two red apples, 苹果!")
    ['two', 'red', 'apples', '苹', '果']
    """
    return _WORDS.findall(one_form(text).lower())


@dataclass(frozen=True)
class Words:
    """The words that stand in OFTEN training texts or more, by text view."""

    views: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, texts: Mapping[str, Iterable[str]]) -> Words:
        """From the texts of each view; a word counts once a text."""
        views = {}
        for view, column in texts.items():
            counts = Counter(word for text in column for word in set(words_of(text)))
            views[view] = frozenset(word for word, count in counts.most_common(MOST) if count >= OFTEN)
        return cls(views)

    def strange(self, view: str, text: str) -> list[str]:
        """The words of a text that hardly any training text of the view has; none of a view that was not read."""
        return [word for word in dict.fromkeys(words_of(text)) if word not in self.views.get(view, (word,))]

    def save(self, file: Path) -> None:
        """Write JSON that `load` restores."""
        views = {view: sorted(words) for view, words in self.views.items()}
        durable.write_text(file, json.dumps({"format": FORMAT, "views": views}, ensure_ascii=False))

    @classmethod
    def load(cls, file: Path) -> Words:
        """What `save` wrote. DataError where it is damaged or of a later bouba."""
        facts = read_json(file)
        try:
            if facts["format"] != FORMAT:
                raise DataError(f"{file} is of format {facts['format']}, this bouba reads {FORMAT}; upgrade bouba")
            return cls({view: frozenset(map(str, words)) for view, words in facts["views"].items()})
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{file} is damaged ({error!s:.80}); make the run again") from error
