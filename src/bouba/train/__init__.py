"""The one loop, and what it needs."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.train.loop import Schedule as Schedule
    from bouba.train.loop import accelerator as accelerator
    from bouba.train.loop import train as train
    from bouba.train.network import Network as Network
else:
    __all__ = attach(__name__)
