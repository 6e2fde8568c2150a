"""Audio encoder: log-mel energies by their definition, padding that reaches nobody, sounds told apart."""

import math

import numpy as np
import pytest
import torch

from bouba.data.spec_augment import SpecAugment
from bouba.errors import DataError, UsageError
from bouba.towers import CRNN
from bouba.towers.audio import SLICES, log_mel, mel_filters

SMALL = CRNN(rate=8000, seconds=1.0, mels=16, channels=2, width=3)


def noise(seconds, seed=0, rate=8000):
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate)).astype(np.float32)


CELLS = [(noise(seconds, seed), 8000) for seed, seconds in enumerate((1.0, 0.31, 0.03, 0.74))]


def built(spec=SMALL, cells=CELLS):
    torch.manual_seed(0)
    return spec.build(spec.learn(cells))


def test_definition_of_mel_filters():
    rate, mels, points = 8000, 12, 512  # 512 is the power of two from 2 * 0.025 * 8000 up
    mel = lambda hertz: 2595 * math.log10(1 + hertz / 700)  # noqa: E731
    hertz = lambda m: 700 * (10 ** (m / 2595) - 1)  # noqa: E731
    edges = [hertz(mel(rate / 2) * i / (mels + 1)) for i in range(mels + 2)]
    expected = np.zeros((mels, points // 2 + 1))
    for band in range(mels):
        low, middle, high = edges[band : band + 3]
        for k in range(points // 2 + 1):
            frequency = k * rate / points
            if low < frequency <= middle:
                expected[band, k] = (frequency - low) / (middle - low)
            elif middle < frequency < high:
                expected[band, k] = (high - frequency) / (high - middle)
    np.testing.assert_allclose(mel_filters(rate, mels), expected, atol=1e-6)


def test_definition_of_log_mel():
    samples, rate, mels = noise(0.06), 8000, 12  # 480 samples: windows of 200 every 80 begin at 0, 80, 160, 240
    window = [0.5 - 0.5 * math.cos(2 * math.pi * n / 200) for n in range(200)]
    found = log_mel(samples, rate, mels)
    assert found.shape == (4, mels)
    for frame, start in enumerate((0, 80, 160, 240)):
        cut = samples[start : start + 200] * np.array(window)
        turn = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(200)) / 512)
        power = np.abs(turn @ cut) ** 2 / np.sum(np.square(window))
        expected = np.log(mel_filters(rate, mels) @ power + 1e-8)
        np.testing.assert_allclose(found[frame], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 3000.0])
def test_recovery_a_tone_is_loudest_in_its_band(hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(8000) / 8000).astype(np.float32)
    loudest = log_mel(tone, 8000, 24).argmax(1)
    edges = 700 * (10 ** (np.linspace(0, 2595 * math.log10(1 + 4000 / 700), 26) / 2595) - 1)
    assert (loudest == int(np.abs(edges[1:-1] - hertz).argmin())).all()


def test_louder_by_ten_adds_the_log_of_a_hundred():
    difference = log_mel(10 * noise(0.5), 8000, 16) - log_mel(noise(0.5), 8000, 16)
    torch.testing.assert_close(difference, torch.full_like(difference, math.log(100)), rtol=0, atol=1e-3)


def test_energies_are_standardised_and_padded_with_zeros():
    inputs = built().prepare(CELLS)
    lengths = inputs["lengths"].tolist()
    assert lengths == [98, 29, 1, 72]  # 1 + (n - 200) // 80
    assert inputs["energies"].shape == (4, 98, 16)
    real = torch.cat([row[:n] for row, n in zip(inputs["energies"].double(), lengths)])
    torch.testing.assert_close(real.mean(0), torch.zeros(16).double(), atol=2e-3, rtol=0)
    torch.testing.assert_close(real.std(0, correction=0), torch.ones(16).double(), atol=2e-3, rtol=0)
    for row, n in zip(inputs["energies"], lengths):
        assert not row[n:].any()


def test_only_the_first_seconds_are_read_and_any_rate():
    long = np.concatenate([noise(1.0), 5 * noise(3.0, 1)])
    one, two = (built().prepare([(cell, 8000)])["energies"] for cell in (long, noise(1.0)))
    torch.testing.assert_close(one, two)
    spec = CRNN(rate=8000, seconds=1.0, mels=16)
    time = np.arange(44_100) / 44_100
    tones = [(np.sin(2 * np.pi * 1000 * time[::step]), 44_100 // step) for step in (1, 2)]
    one, two = (spec.hear(tone)[5:-5] for tone in tones)
    band = int(one.mean(0).argmax())
    torch.testing.assert_close(one[:, band], two[:, band], atol=0.05, rtol=0)


def test_law_a_clip_does_not_see_its_batch():
    encoder = built().eval()
    inputs = encoder.prepare(CELLS)
    with torch.no_grad():
        together = encoder(**inputs)
        assert together.shape == (4, encoder.width) == (4, 12)
        assert torch.isfinite(together).all()
        for cell, row in zip(CELLS, together):
            torch.testing.assert_close(encoder(**encoder.prepare([cell]))[0], row, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_law_what_stands_in_the_padding_changes_nothing(training):
    """Also in training, where BatchNorm takes its statistics from real frames only."""
    results = []
    for rubbish in (0.0, 50.0):
        encoder = built().train(training)
        inputs = encoder.prepare(CELLS)
        past = torch.arange(inputs["energies"].shape[1]) >= inputs["lengths"][:, None]
        energies = inputs["energies"].masked_fill(past[:, :, None], 0.0)
        longer = torch.nn.functional.pad(energies, (0, 0, 0, 31))  # silence after the longest, and rubbish below
        longer[:, 98:] = rubbish
        z = encoder(longer, inputs["lengths"])
        z.square().sum().backward()
        results.append((z.detach(), [p.grad for p in encoder.parameters()], encoder.blocks[0].norm.running_mean))
    torch.testing.assert_close(results[0], results[1])
    short = built().train(training)
    alone = short(inputs["energies"][1:2, :29], torch.tensor([29]))
    wide = built().train(training)(inputs["energies"][1:2], torch.tensor([29]))
    torch.testing.assert_close(alone, wide)


def test_definition_of_batchnorm_over_real_frames():
    encoder = built().train()
    inputs = encoder.prepare(CELLS)
    block = encoder.blocks[0]
    maps = inputs["energies"][:, None].float()
    out, lengths = block(maps, inputs["lengths"])
    assert lengths.tolist() == [49, 15, 1, 36]  # every second frame from the first on
    raw = block.conv(maps)
    for channel in range(2):
        heard = torch.cat([raw[row, channel, :n].flatten() for row, n in enumerate(lengths)])
        for row, n in enumerate(lengths.tolist()):
            normed = (raw[row, channel, :n] - heard.mean()) / (heard.var(correction=0) + 1e-5).sqrt()
            torch.testing.assert_close(out[row, channel, :n], normed.clamp(min=0), rtol=1e-4, atol=1e-5)
            assert not out[row, channel, n:].any()


def test_definition_of_what_a_decoder_gives_back():
    encoder = built()
    inputs = encoder.prepare(CELLS)
    raw = encoder.raw(inputs)
    assert raw.shape == (4, encoder.raw_width) == (4, SLICES * 16)
    for row, energies, n in zip(raw, inputs["energies"].float(), inputs["lengths"].tolist()):
        for part in range(SLICES):
            start, stop = part * n // SLICES, max((part + 1) * n // SLICES, part * n // SLICES + 1)
            mean = energies[start:stop].mean(0)
            torch.testing.assert_close(row[part * 16 : (part + 1) * 16], mean, rtol=1e-3, atol=1e-3)


def test_vary_is_spec_augment_or_nothing():
    encoder = built(CRNN(rate=8000, seconds=1.0, mels=16, augment=SpecAugment(crop=0.5)))
    inputs = encoder.prepare(CELLS)
    torch.manual_seed(1)
    varied = encoder.vary(inputs)
    torch.manual_seed(1)
    energies, lengths = SpecAugment(crop=0.5)(inputs["energies"].float(), inputs["lengths"])
    torch.testing.assert_close(varied, {"energies": energies, "lengths": lengths})
    assert encoder(**varied).shape == (4, encoder.width)
    assert built(CRNN(rate=8000, augment=None)).vary(inputs) is inputs


def test_recovery_rising_and_falling_tones_are_told_apart():
    """Both hold the same frequencies equally long, so only time tells them apart; a mean spectrum cannot."""
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    time = np.arange(2400) / 8000
    cells, y = [], []
    for number in range(120):
        low, high = random.uniform(300, 900), random.uniform(1500, 3000)
        start, stop = (low, high) if number % 2 else (high, low)
        phase = 2 * np.pi * (start * time + (stop - start) * time**2 / 0.6)
        cells.append((np.sin(phase) + random.normal(0, 0.1, len(time)), 8000))
        y.append(number % 2)
    y = torch.tensor(y)
    encoder = built(CRNN(rate=8000, seconds=0.3, mels=16, channels=4, width=8, augment=None), cells)
    head = torch.nn.Linear(encoder.width, 2)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-2)
    inputs = encoder.prepare(cells)
    some = lambda rows: {name: tensor[rows] for name, tensor in inputs.items()}  # noqa: E731
    for _ in range(25):
        loss = torch.nn.functional.cross_entropy(head(encoder.train()(**some(slice(0, 60)))), y[:60])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = head(encoder.eval()(**some(slice(60, 120)))).argmax(1)
    spectra = inputs["energies"].float().mean(1)
    baseline = LogisticRegression(max_iter=1000).fit(spectra[:60], y[:60]).score(spectra[60:], y[60:])
    assert (found == y[60:]).float().mean() > 0.95
    assert baseline < 0.75


def test_specs_print_compare_and_refusals():
    assert eval(repr(SMALL)) == SMALL != CRNN()
    with pytest.raises(UsageError, match="400 mel bands are too many at 8000 Hz, some would hear nothing; take fewer"):
        CRNN(rate=8000, mels=400).learn(CELLS)
    with pytest.raises(DataError, match="not a sound: 4 bytes"):
        built().prepare([b"nope"])
    with pytest.raises(UsageError, match="rate, seconds, mels, channels and width must be above 0"):
        CRNN(seconds=0.0)


def test_restore_gives_log_energies():
    encoder = built()
    [raw] = encoder.restore(encoder.raw(encoder.prepare(CELLS[:1])).numpy())
    assert raw.shape == (SLICES, 16)
    heard = SMALL.hear(CELLS[0]).numpy()
    np.testing.assert_allclose(raw.mean(0), heard[: len(heard) // SLICES * SLICES].mean(0), atol=0.5)
    cuts = [len(heard) * part // SLICES for part in range(SLICES + 1)]
    np.testing.assert_allclose(raw[3], heard[cuts[3] : cuts[4]].mean(0), atol=0.02)  # prepared in half precision
