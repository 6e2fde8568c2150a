"""All that is trained: the towers, the fusion, and the parameters of the objective's terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bouba.batch import Batch, picked
from bouba.data.loader import Rows
from bouba.nn.by_view import ByView
from bouba.nn.draws import Draws
from bouba.nn.fusion import Fusion, kept_views
from bouba.nn.gather import gather
from bouba.nn.moving_average import MovingAverage
from bouba.nn.parts import in_parts
from bouba.terms.checks import trusted
from bouba.terms.term import Needs, Objective, Parts, Space
from bouba.towers.tower import Tower
from bouba.train.diagnosis import measure


class Network(nn.Module):
    """Towers and the objective's state in one module, so that one optimiser and one checkpoint hold everything."""

    def __init__(
        self,
        towers: Mapping[str, Tower],
        objective: Objective,
        space: Space,
        *,
        fusion: Fusion | None = None,
        chunk_size: int | None = None,
    ):
        super().__init__()
        self.towers = ByView(towers)
        self.drop = 0.0 if fusion is None else fusion.hiding
        self.fusion = None if fusion is None or space.fused is None else fusion.build(len(towers), space.fused)
        self.objective = objective
        read = objective.needs().embeddings
        self.read = [name for name in towers if self.fusion is not None or read is None or name in read]
        self.predicted_labels = objective.predicted_labels(space)
        self.state = objective.state(space)
        self._needs_in_training, self._needs_to_judge = objective.needs(), objective.judges().needs()
        self._after_step = [module for module in self.state.modules() if hasattr(module, "after_step")]
        self.averages: ByView | None = None
        named = objective.needs().masked_views
        self.masked = [name for name in space.masks if named is None or name in named]
        self.chunk_size = chunk_size
        self.draws: Draws | None = None  # of the step under way

    def average(self) -> None:
        """Make moving averages of the towers that are read, where a term reads them, from the towers as they are."""
        decay = self._needs_in_training.averaged
        if decay is not None:
            made = {
                tower: MovingAverage(tower, decay) for tower in dict.fromkeys(self.towers[name] for name in self.read)
            }
            self.averages = ByView({name: made[self.towers[name]] for name in self.read})

    def embed(self, batch: Batch) -> Batch:
        """The batch with z of the views that are read, view -> (B, dim), zeros where the row lacks it; fused where
        views are fused, twin, averaged and raw where they are read. Inputs are varied in training; where twins are read
        without training too, else both would be equal."""
        needs = self._needs()
        vary = self.training or needs.twins
        batch = self.fuse(batch.replace(z={name: self.embed_view(name, batch, vary=vary) for name in self.read}))
        if needs.rest and self.fusion is not None:
            batch = batch.replace(
                rest={name: self.fuse(batch.replace(present=_others(name, batch))).fused for name in self.read}
            )
        if needs.twins:
            batch = batch.replace(twin={name: self.embed_view(name, batch, vary=True) for name in self.read})
        if needs.averaged is not None:
            with torch.no_grad():
                averaged = {name: self.embed_view(name, batch, vary=True, averaged=True) for name in self.read}
            batch = batch.replace(averaged=averaged)
        if needs.masked is not None:
            batch = self._masked(batch, needs.masked)
        if needs.raw:
            decodable = [name for name in self.towers if self._raw_width(name) and batch.inputs[name]]
            batch = batch.replace(raw={name: self._raw(name, batch) for name in decodable})
        return batch.replace(teachers={name: batch.inputs[name]["values"] for name in needs.teachers})

    def _masked(self, batch: Batch, share: float) -> Batch:
        """The batch with masked and hidden of the views that are masked."""
        with self._whole_batch():
            drawn = {
                name: self.towers[name].encoder.masked(batch.inputs[name], share)  # type: ignore[union-attr, operator]
                for name in self.masked
                if batch.inputs[name]
            }
        seen = batch.replace(inputs=batch.inputs | {name: inputs for name, (inputs, _) in drawn.items()})
        masked = {name: self.embed_view(name, seen) for name in drawn}
        return batch.replace(masked=masked, hidden={name: hidden for name, (_, hidden) in drawn.items()})

    def _needs(self) -> Needs:
        """What the terms that are computed need: in training all of them, else those that judge."""
        return self._needs_in_training if self.training else self._needs_to_judge

    def fuse(self, batch: Batch) -> Batch:
        """The batch with fused (B, dim) from z and present, where views are fused; some are hidden in training."""
        if self.fusion is None:
            return batch
        z = torch.stack([batch.z[name] for name in self.towers], 1)
        present = torch.stack([batch.present[name] for name in self.towers], 1)
        with self._whole_batch():
            if self.training and self.drop:
                present = kept_views(present, self.drop)
            return batch.replace(fused=self.fusion(z, present))

    @contextmanager
    def _whole_batch(self) -> Iterator[None]:
        """Inside, what is drawn for each row is drawn as one process would that had the rows of all."""
        if self.draws is None:
            yield
            return
        with self.draws.alike_after(), self.draws.of_rows():
            yield

    def embed_view(
        self, name: str, batch: Batch, *, vary: bool = False, features: bool = False, averaged: bool = False
    ) -> Tensor:
        """z (B, dim) of one view, zeros where a row lacks it; of randomly changed inputs if `vary`; with `features`
        what stands before the projection, (B, width); with `averaged` by the tower's moving average."""
        how = {"vary": vary, "features": features, "averaged": averaged}
        if self.draws is None:
            return self._embed_view(name, batch, **how)
        with self.draws.alike_after(name):
            return self._embed_view(name, batch, **how)

    def _embed_view(self, name: str, batch: Batch, **how: Any) -> Tensor:
        tower: Tower = self.towers[name]  # type: ignore[assignment]
        rows = batch.rows_with(name)  # None for all
        if rows is not None and not len(rows):
            width = tower.encoder.width if how["features"] else tower.dim
            weight = next(tower.projection.parameters())
            zeros = batch.rows.new_zeros((len(batch), width), dtype=weight.dtype)
            return zeros if self.draws is None else zeros + 0 * weight.sum()  # others wait for a gradient from here
        chunks = [rows] if self.chunk_size is None or not self.training else self._chunks(batch, rows)
        forward: Any = partial(self._embed_rows, tower, batch, name, draws=self.draws, **how)
        if len(chunks) > 1:  # gradient caching: the tower's activations are dropped, each chunk is run again backward
            z = torch.cat([checkpoint(forward, chunk, use_reentrant=False) for chunk in chunks])
        else:
            z = forward(rows)
        return z if rows is None else z.new_zeros((len(batch), z.shape[1])).index_put((rows,), z)

    def _chunks(self, batch: Batch, rows: Tensor | None) -> Sequence[Tensor]:
        rows = torch.arange(len(batch), device=batch.rows.device) if rows is None else rows
        return rows.split(self.chunk_size)  # type: ignore[no-untyped-call]

    def _embed_rows(
        self,
        tower: Tower,
        batch: Batch,
        name: str,
        rows: Tensor | None,
        *,
        draws: Draws | None,
        vary: bool,
        features: bool,
        averaged: bool,
    ) -> Tensor:
        if draws is not None:
            how: Any = {"vary": vary, "features": features, "averaged": averaged}
            with draws.of_view(name, slice(None) if rows is None else rows):
                return self._embed_rows(tower, batch, name, rows, draws=None, **how)
        inputs = {part: picked(tensor, rows) for part, tensor in batch.inputs[name].items()}
        domain = None if batch.domain is None else picked(batch.domain, rows)
        inputs = tower.encoder.vary(inputs) if vary else inputs
        if averaged:
            assert self.averages is not None, "average() was called"
            return self.averages[name].run(tower, inputs, domain)  # type: ignore[operator]
        return tower.features(inputs, domain) if features else tower(inputs, domain)

    def _raw_width(self, name: str) -> int:
        return self.towers[name].encoder.raw_width  # type: ignore[union-attr, return-value]

    def _raw(self, name: str, batch: Batch) -> Tensor:
        return self.towers[name].encoder.raw(batch.inputs[name])  # type: ignore[union-attr, operator]

    def forward(self, batch: Batch) -> tuple[Tensor, Parts]:
        """The objective, in float32 whatever the towers ran in; in training over the rows of all processes."""
        self.draws = Draws.of(batch) if self.training else None
        batch = self.embed(batch)
        fused = None if batch.fused is None else _precise({"": batch.fused})[""]
        batch = batch.replace(
            z=_precise(batch.z),
            twin=_precise(batch.twin),
            averaged=_precise(batch.averaged),
            masked=_precise(batch.masked),
            rest=_precise(batch.rest),
            fused=fused,
        )
        if self._needs().predictions:
            batch = batch.replace(predicted=_classes(self.predict(batch)))
            if batch.twin:
                twins = self.fuse(batch.replace(z=batch.twin))
                batch = batch.replace(predicted_twin=_classes(self.predict(twins)))
        self.draws, batch = None, gather(batch) if self.training else batch
        if not self.training:
            return self.objective.validation_loss(batch, self.state)
        with in_parts(), trusted():
            loss, parts = self.objective.loss(batch, self.state)
        return loss, parts | measure(batch)

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """label -> log probabilities (B, C) or standardised numbers (B,), by the first term that predicts the label."""
        return self.objective.predict(batch, self.state)

    def measure_domains(self, rows: Rows, *, most: int = 4096, batch_size: int = 512) -> None:
        """Keep each domain's BatchNorm statistics, from up to `most` of its rows, without augmentation. They are drawn:
        tables are often sorted, by class for one."""
        self.eval()
        draw = torch.Generator().manual_seed(0)
        device = next(self.parameters()).device
        for tower in dict.fromkeys(self.towers.values()):  # one that views share is measured once, over all of them
            views = [name for name, other in self.towers.items() if other is tower]
            for code in range(len(tower.statistics.values)) if tower.statistics else ():  # type: ignore[arg-type]
                forwards = []
                for name in views:
                    cells = (rows.present[name] & (rows.domain == code)).nonzero(as_tuple=True)[0]
                    cells = cells[torch.randperm(len(cells), generator=draw)[:most]]
                    chunks = cells.tensor_split(max(1, round(len(cells) / batch_size))) if len(cells) > 1 else ()
                    forwards += [partial(self._encode, name, rows, chunk, device) for chunk in chunks]
                if forwards:
                    tower.statistics.measure(code, forwards)  # type: ignore[union-attr, operator]

    def _encode(self, name: str, rows: Rows, chunk: Tensor, device) -> None:
        self.towers[name].encoder(**rows.batch(chunk).to(device).inputs[name])  # type: ignore[operator, union-attr]

    def after_step(self) -> None:
        """Temperatures go back into range, moving averages take in the step: those of towers, and whatever in the state
        of a term has a method `after_step`."""
        if self.averages is not None:
            towers = dict(zip(self.averages.values(), (self.towers[name] for name in self.averages)))
            for average, tower in towers.items():
                average.update(tower)  # type: ignore[operator]
        for module in self._after_step:
            module.after_step()  # type: ignore[operator]


def _others(name: str, batch: Batch) -> dict[str, Tensor]:
    """Which views rows have besides one."""
    return {view: mask if view != name else torch.zeros_like(mask) for view, mask in batch.present.items()}


def _precise(z: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """In float32 or better."""
    return {name: value.float() if value.dtype.itemsize < 4 else value for name, value in z.items()}


def _classes(predictions: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of label columns of classes."""
    return {label: value for label, value in predictions.items() if value.dim() == 2}
