"""BatchNorm statistics of each domain, in addition to the network's running ones.

In training each domain is normalised by its own batch. Running statistics are then a mixture that belongs to no
domain; afterwards the statistics of each are measured once over its training rows and used for its rows. It takes
no label, so it may be done for a target. Reference: Li et al. 2017, Revisiting Batch Normalization For Practical
Domain Adaptation (AdaBN); Chang et al. 2019, Domain-Specific Batch Normalization.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def batch_norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """Every BatchNorm layer of a network."""
    return [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


def is_frozen(module: nn.Module) -> bool:
    """Whether it has parameters and none of them is trained."""
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


class DomainStatistics(nn.Module):
    """Means and variances of every BatchNorm layer of a network that learns, one row a domain. Frozen layers keep the
    statistics they came with.

    Args:
        network: where the layers are. domains: how many domains there are.
    """

    values: Tensor
    measured: Tensor

    def __init__(self, network: nn.Module, domains: int):
        super().__init__()
        self._layers = [m for m in batch_norms(network) if not is_frozen(m)]
        width = sum(layer.num_features for layer in self._layers)
        self.register_buffer("values", torch.zeros(domains, 2, width))
        self.register_buffer("measured", torch.zeros(domains, dtype=torch.bool))

    def __bool__(self) -> bool:
        """Whether the network has any BatchNorm that learns."""
        return bool(self._layers)

    def measure(self, code: int, forwards: Iterable) -> None:
        """Run a domain's batches through the network and keep the statistics of its layers.

        Args:
            code: which domain. forwards: each call passes one batch through the network.
        """
        before = self._read()
        momenta = [layer.momentum for layer in self._layers]
        for layer in self._layers:
            layer.reset_running_stats()
            layer.momentum = None  # a plain average over batches
            layer.train()
        with torch.no_grad():
            for forward in forwards:
                forward()
        self.values[code] = self._read()
        self.measured[code] = True
        for layer, momentum in zip(self._layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()
        self._write(before)

    @contextmanager
    def of(self, code: int) -> Iterator[None]:
        """Inside, the network normalises by this domain's statistics; by its own where the domain was not measured."""
        if not 0 <= code < len(self.measured) or not bool(self.measured[code]):
            yield
            return
        before = [(layer.running_mean, layer.running_var) for layer in self._layers]
        widths = [layer.num_features for layer in self._layers]
        measured = zip(*(row.split(widths) for row in self.values[code]), strict=True)
        self._exchange(measured)  # tensors change places, none is overwritten: a backward pass may still need it
        try:
            yield
        finally:
            self._exchange(before)

    def settle(self, code: int) -> None:
        """The network normalises by this domain's statistics from now on."""
        self._write(self.values[code])

    def _exchange(self, statistics: Iterable[tuple[Tensor | None, Tensor | None]]) -> None:
        for layer, (mean, variance) in zip(self._layers, statistics, strict=True):
            layer.running_mean, layer.running_var = mean, variance

    def _read(self) -> Tensor:
        buffers = [dict(layer.named_buffers()) for layer in self._layers]
        return torch.stack([torch.cat([layer[name] for layer in buffers]) for name in ("running_mean", "running_var")])

    def _write(self, values: Tensor) -> None:
        start = 0
        for layer in self._layers:
            stop = start + layer.num_features
            for value, name in zip(values, ("running_mean", "running_var"), strict=True):
                layer.get_buffer(name).copy_(value[start:stop])
            start = stop
