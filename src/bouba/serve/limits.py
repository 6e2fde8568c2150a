"""What one request may cost, and the refusals that say so."""

from __future__ import annotations

from dataclasses import dataclass

LARGEST = 2**53  # number of a row that is looked up: the whole numbers that JSON keeps in every program


@dataclass(frozen=True)
class Limits:
    """Bounds of a request.

    Args:
        upload_bytes: of a whole body. pixels: of a picture. seconds: of a sound or clip. k: hits. words: characters of
            a text. parts: of one question. rows: that are shown at once.
        waiting: questions under way or waiting; more are sent away for a moment. query_seconds: until a question is
            given up.
    """

    upload_bytes: int = 20_000_000
    pixels: int = 40_000_000
    seconds: float = 120.0
    k: int = 200
    words: int = 2000
    parts: int = 12
    rows: int = 200
    waiting: int = 32
    query_seconds: float = 30.0


class Refusal(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP. sentence: for a person. retry_after: seconds until it is worth trying again.
    """

    def __init__(self, status: int, sentence: str, retry_after: int | None = None):
        super().__init__(sentence)
        self.status, self.sentence, self.retry_after = status, sentence, retry_after
