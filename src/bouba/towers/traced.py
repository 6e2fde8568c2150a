"""Networks of encoders as a tracer follows them: the same weights, and no length that is read as a number."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from bouba.nn.traced_layer import traced_layer


class TracedNGrams(nn.Module):
    """Numbers of n-grams (B, L), 0 for none -> features (B, width)."""

    def __init__(self, encoder: Any):
        super().__init__()
        self.weight, self.layers = encoder.embed.weight, encoder.layers

    def forward(self, grams: Tensor) -> Tensor:
        real = (grams != 0).float()
        embedded = nn.functional.embedding(grams, self.weight) * real[:, :, None]
        return self.layers(embedded.sum(1) / real.sum(1, keepdim=True).clamp(min=1))


class TracedLSTM(nn.Module):
    """Tokens (B, L), 0 past the end -> features (B, 2 * width)."""

    def __init__(self, encoder: Any):
        super().__init__()
        self.embed, self.lstm = encoder.embed, encoder.lstm

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = (tokens != 0).sum(1).clamp(min=1)
        states = _states(self.lstm, self.embed(tokens), lengths)
        return states.masked_fill(_past(states, lengths)[:, :, None], -1e4).amax(1)


class TracedTransformer(nn.Module):
    """Tokens (B, L), 0 past the end -> features (B, width)."""

    def __init__(self, encoder: Any):
        super().__init__()
        self.embed, self.places, self.norm = encoder.embed, encoder.places, encoder.norm
        self.layers: Any = encoder.layers

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = (tokens != 0).sum(1).clamp(min=1)
        embedded = self.embed(tokens)
        past = _past(embedded, lengths)
        states = embedded + self.places(torch.arange(tokens.shape[1]))
        for layer in self.layers:
            states = traced_layer(layer, states, past)
        return self.norm(states).masked_fill(past[:, :, None], 0.0).sum(1) / lengths[:, None]


class TracedCRNN(nn.Module):
    """Energies (B, T, mels) and lengths (B,) -> features (B, 4 * width)."""

    def __init__(self, encoder: Any):
        super().__init__()
        self.blocks: Any = encoder.blocks
        self.gru = encoder.gru

    def forward(self, energies: Tensor, lengths: Tensor) -> Tensor:
        lengths = lengths.clamp(min=1)
        maps = energies[:, None]  # (B, 1, T, mels)
        for block in self.blocks:
            maps = block.conv(maps)  # (B, C, T', M')
            lengths = torch.div(lengths - 1, block.conv.stride[0], rounding_mode="floor") + 1
            normed = torch.relu(block.norm(maps.flatten(2)).reshape(maps.shape))
            maps = normed.masked_fill(_past(maps.transpose(1, 2), lengths)[:, None, :, None], 0.0)
        states = _states(self.gru, maps.transpose(1, 2).flatten(2), lengths)
        past = _past(states, lengths)[:, :, None]
        mean = states.masked_fill(past, 0.0).sum(1) / lengths[:, None]
        return torch.cat([mean, states.masked_fill(past, -1.0).amax(1)], 1)


def _states(recurrent: nn.Module, steps: Tensor, lengths: Tensor) -> Tensor:
    """All states (B, L, ...) of an LSTM or GRU over steps (B, L, width); whatever past the end."""
    packed = pack_padded_sequence(steps, lengths.cpu(), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(recurrent(packed)[0], batch_first=True, total_length=steps.shape[1])[0]


def _past(steps: Tensor, lengths: Tensor) -> Tensor:
    """bool (B, L), True past the end of each of the rows (B, L, ...)."""
    return torch.arange(steps.shape[1]) >= lengths[:, None]
