"""The one loop, and what it needs."""

from bouba.train.loop import Schedule as Schedule
from bouba.train.loop import accelerator as accelerator
from bouba.train.loop import train as train
from bouba.train.network import Network as Network
