"""Rooms whose names are imported when they are first used, so that what nobody uses is never loaded.

A room's `__init__.py` lists its public names once, for readers, type checkers and this file alike:

    from typing import TYPE_CHECKING

    from bouba.lazy import attach

    if TYPE_CHECKING:
        from bouba.align.cca import CCA as CCA
        from bouba.align.deep_cca import DeepCCA as DeepCCA
    else:
        __all__ = attach(__name__)

`from bouba.align import CCA` then imports bouba/align/cca.py and leaves torch, which deep_cca.py needs, alone.
"""

from __future__ import annotations

import ast
import importlib
import sys
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any


class Room(ModuleType):
    """A package that imports its public names on demand (PEP 562).

    Where a function has the name of its file, as `bouba.terms.mmd.mmd`, the room's `mmd` is the function, whoever
    imports the file first.
    """

    __homes__: dict[str, str]  # public name -> the module that defines it
    __renamed__: dict[str, str]  # a name of before -> that of today

    def __getattr__(self, name: str) -> Any:
        if name in self.__renamed__:
            new = self.__renamed__[name]
            message = (
                f"{self.__name__}.{name} is now {self.__name__}.{new}; the old name goes with the next minor version"
            )
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            return getattr(self, new)
        if name not in self.__homes__:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        home = self.__homes__[name]
        is_submodule = home == self.__name__
        value = (
            importlib.import_module(f"{home}.{name}") if is_submodule else getattr(importlib.import_module(home), name)
        )
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and self.__homes__.get(name) == value.__name__:
            value = getattr(value, name)  # the import system binds a file that it has imported to the room
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__homes__})


def attach(name: str, renamed: Mapping[str, str] | None = None) -> list[str]:
    """Make the module of this name a Room of the imports under its `if TYPE_CHECKING:`.

    Args:
        renamed: names of before -> those of today; they still lead there, with a DeprecationWarning.

    Returns:
        Its public names, for `__all__`; modules imported from the room itself are no part of them.
    """
    room: Any = sys.modules[name]
    tree = ast.parse(room.__spec__.loader.get_source(name))
    blocks = (node.body for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = [node for block in blocks for node in block if isinstance(node, ast.ImportFrom)]
    room.__homes__ = {alias.name: str(node.module) for node in imports for alias in node.names}
    room.__renamed__ = dict(renamed or {})
    room.__class__ = Room
    return [public for public, home in room.__homes__.items() if home != name]
