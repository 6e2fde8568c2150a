"""SpecAugment: known answers for single changes, and laws for all of them together."""

import pytest
import torch

from bouba.data.spec_augment import SpecAugment
from bouba.errors import UsageError

STILL = {"crop": 1.0, "band": 0.0, "band_masks": 0, "time": 0.0, "time_masks": 0, "gain": 0.0}


def clips(lengths=(40, 25, 1, 40), mels=10):
    """Energies 1 where a clip is, 0 where it is padded."""
    lengths = torch.tensor(lengths)
    real = torch.arange(int(lengths.max())) < lengths[:, None]
    return real[:, :, None].float().expand(-1, -1, mels).contiguous(), lengths


def test_no_change_is_the_identity():
    energies, lengths = clips()
    changed, kept = SpecAugment(**STILL)(energies, lengths)
    assert torch.equal(changed, energies)
    assert torch.equal(kept, lengths)


def test_bands_are_hidden_over_the_whole_clip():
    torch.manual_seed(0)
    energies, lengths = clips((20,) * 500)
    changed, _ = SpecAugment(**STILL | {"band": 0.4, "band_masks": 1})(energies, lengths)
    hidden = changed[:, 0] == 0  # (B, mels)
    assert torch.equal(changed, energies.masked_fill(hidden[:, None, :], 0.0))
    assert set(hidden.sum(1).tolist()) == {0, 1, 2, 3, 4}
    edges = torch.nn.functional.pad(hidden.int(), (1, 1)).diff(dim=1).abs().sum(1)
    assert set(edges.tolist()) <= {0, 2}, "one stretch, no two"
    assert hidden.any(0).all(), "every band is hidden in some clip"


def test_time_masks_are_a_share_of_each_clip():
    torch.manual_seed(0)
    lengths = (40,) * 300 + (10,) * 300
    energies, of = clips(lengths)
    changed, _ = SpecAugment(**STILL | {"time": 0.3, "time_masks": 1})(energies, of)
    gone = (energies - changed)[:, :, 0].sum(1)
    assert gone[:300].max() == 12
    assert gone[300:].max() == 3
    assert gone.min() == 0


def test_a_crop_is_a_window_of_the_clip_moved_to_the_front():
    torch.manual_seed(0)
    energies = torch.arange(1.0, 21.0).expand(300, 20).clone()
    energies[:, 15:] = 0.0
    lengths = torch.full((300,), 15)
    changed, kept = SpecAugment(**STILL | {"crop": 0.4})(energies[:, :, None], lengths)
    assert set(kept.tolist()) == set(range(7, 16))  # ceil(15 u) with u from 0.4 to 1
    starts = set()
    for row, size in zip(changed[:, :, 0].tolist(), kept.tolist()):
        assert row[:size] == [row[0] + step for step in range(size)]
        assert row[size:] == [0.0] * (20 - size)
        assert row[size - 1] <= 15
        starts.add(row[0])
    assert min(starts) == 1
    assert max(starts) >= 7


def test_gain_is_one_number_a_clip():
    torch.manual_seed(0)
    energies, lengths = clips((8, 8, 8))
    changed, _ = SpecAugment(**STILL | {"gain": 0.5})(energies, lengths)
    shift = (changed - energies)[:, :1, :1]
    torch.testing.assert_close(changed, energies + shift)
    assert shift.abs().max() <= 0.5
    assert len(set(shift.flatten().tolist())) == 3


def test_law_padding_stays_zero_and_clips_differ():
    torch.manual_seed(0)
    energies, lengths = clips()
    for _ in range(20):
        changed, kept = SpecAugment()(energies, lengths)
        assert (kept >= 1).all()
        assert (kept <= lengths).all()
        for row, size in zip(changed, kept.tolist()):
            assert not row[size:].any()
    twice, _ = SpecAugment()(*clips((40, 40)))
    assert not torch.allclose(twice[0], twice[1])


def test_the_global_generator_decides():
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        results.append(SpecAugment()(*clips())[0])
    assert torch.equal(*results)


def test_refusals():
    with pytest.raises(UsageError, match="crop is the least share kept, above 0 and at most 1, got 0"):
        SpecAugment(crop=0.0)
    with pytest.raises(UsageError, match="band is a share, 0 or more and below 1, got 8"):
        SpecAugment(band=8)
    with pytest.raises(UsageError, match="time is a share, 0 or more and below 1, got 1"):
        SpecAugment(time=1.0)
