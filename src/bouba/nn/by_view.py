"""Modules by the name of a view. A ModuleDict refuses names that columns have, such as "file.path" or "values"."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView

from torch import nn


class ByView(nn.Module):
    """view -> module, in order; any text is a name, and two views may share a module.

    >>> modules = ByView({"file.path": nn.Identity(), "values": nn.Identity()})
    >>> list(modules), modules["values"]
    (['file.path', 'values'], Identity())
    """

    def __init__(self, modules: Mapping[str, nn.Module]):
        super().__init__()
        self.parts = nn.ModuleList(modules.values())
        self.names = tuple(modules)

    def _by_name(self) -> dict[str, nn.Module]:
        return dict(zip(self.names, self.parts))

    def __getitem__(self, view: str) -> nn.Module:
        return self.parts[self.names.index(view)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def items(self) -> ItemsView[str, nn.Module]:
        """Pairs of view and module."""
        return self._by_name().items()

    def values(self) -> ValuesView[nn.Module]:
        """The modules, one for each view."""
        return self._by_name().values()
