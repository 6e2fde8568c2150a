"""The one loop, and what it needs."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.train.loop import Saving as Saving
    from bouba.train.loop import train as train
    from bouba.train.network import Network as Network
    from bouba.train.processes import accelerator as accelerator
    from bouba.train.step import Schedule as Schedule
else:
    __all__ = attach(__name__)
