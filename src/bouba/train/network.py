"""All that is trained: the towers, and what the objective's terms learn."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from bouba.batch import Batch
from bouba.data.loader import Rows
from bouba.nn.gather import gather
from bouba.nn.temperature import Temperature
from bouba.terms.term import Objective, Parts, Space
from bouba.towers.tower import Tower


class Network(nn.Module):
    """Towers and the objective's state in one module, so that one optimiser and one checkpoint hold everything."""

    def __init__(self, towers: Mapping[str, Tower], objective: Objective, space: Space):
        super().__init__()
        self.towers = nn.ModuleDict(towers)
        self.objective = objective
        self.state = objective.state(space)

    def embed(self, batch: Batch) -> Batch:
        """The batch with z filled: view -> (B, dim), zeros where the row lacks the view."""
        return batch.replace(z={name: self.embed_view(name, batch) for name in self.towers})

    def embed_view(self, name: str, batch: Batch) -> Tensor:
        """z (B, dim) of one view, zeros where a row lacks it."""
        tower: Tower = self.towers[name]  # type: ignore[assignment]
        present, inputs = batch.present[name], batch.inputs[name]
        if bool(present.all()):
            return tower(inputs, batch.domain)
        rows = present.nonzero(as_tuple=True)[0]
        if not len(rows):
            return present.new_zeros((len(batch), tower.dim), dtype=next(tower.parameters()).dtype)
        domain = None if batch.domain is None else batch.domain[rows]
        z = tower({part: tensor[rows] for part, tensor in inputs.items()}, domain)
        return z.new_zeros((len(batch), z.shape[1])).index_put((rows,), z)

    def forward(self, batch: Batch) -> tuple[Tensor, Parts]:
        """The objective, in float32 whatever the towers ran in; in training over the rows of all processes."""
        batch = self.embed(batch)
        z = {name: value.float() if value.dtype.itemsize < 4 else value for name, value in batch.z.items()}
        batch = gather(batch.replace(z=z)) if self.training else batch.replace(z=z)
        loss = self.objective.loss if self.training else self.objective.validation_loss
        return loss(batch, self.state)

    def measure_domains(self, rows: Rows, *, most: int = 4096, batch_size: int = 512) -> None:
        """Keep each domain's BatchNorm statistics, from up to `most` of its rows, without augmentation."""
        self.eval()
        device = next(self.parameters()).device
        for name, tower in self.towers.items():
            for code in range(len(tower.statistics.values)) if tower.statistics else ():  # type: ignore[arg-type]
                own = (rows.present[name] & (rows.domain == code)).nonzero(as_tuple=True)[0][:most]
                chunks = own.tensor_split(max(1, round(len(own) / batch_size)))
                forwards = [partial(self._encode, name, rows, chunk, device) for chunk in chunks]
                if len(own) > 1:
                    tower.statistics.measure(code, forwards)  # type: ignore[union-attr, operator]

    def _encode(self, name: str, rows: Rows, chunk: Tensor, device) -> None:
        self.towers[name].encoder(**rows.batch(chunk).to(device).inputs[name])  # type: ignore[operator, union-attr]

    def after_step(self) -> None:
        """Put learnt temperatures back into their range."""
        for module in self.state.modules():
            if isinstance(module, Temperature):
                module.clamp_()
