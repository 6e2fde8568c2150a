"""What a subclass may fill in. Every other method with a body is final: tests/test_estimators.py reads the marks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Method = TypeVar("Method", bound=Callable)


def hook(method: Method) -> Method:
    """Marks a method whose body does nothing, or returns its argument, so that a subclass may say otherwise.

    >>> class Base:
    ...     @hook
    ...     def _prepare(self, rows):
    ...         return rows
    >>> Base._prepare.is_hook
    True
    """
    method.is_hook = True  # type: ignore[attr-defined]
    return method
