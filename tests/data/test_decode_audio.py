"""Sounds in every form a table may hold, as one channel at one rate; and why some are none."""

import io
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
import torch

from bouba import read
from bouba.data import decode
from bouba.data.kinds import KINDS
from bouba.errors import DataError


def tone(rate, seconds=0.5, hertz=440.0):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def encoded(samples, rate, form, **how):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, **how)
    return file.getvalue()


@pytest.mark.parametrize(("form", "slack"), [("WAV", 1e-4), ("FLAC", 1e-4), ("OGG", 0.05), ("MP3", 0.05)])
def test_every_format_gives_the_tone_back(form, slack):
    heard = decode.audio(encoded(tone(16_000), 16_000, form), 16_000)
    assert heard.dtype == np.float32
    assert len(heard) == 8000
    np.testing.assert_allclose(heard[500:-500], tone(16_000)[500:-500], atol=slack)


@pytest.mark.parametrize(("form", "kind"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("FLAC", "PCM_16"), ("WAV", "PCM_16")])
def test_a_sound_of_any_length_is_one_at_a_glance(form, kind):
    """libsndfile finds no end of most short Vorbis files once it has read their beginning."""
    random = np.random.default_rng(0)
    for length in range(1000, 30_000, 2777):
        KINDS["audio"].decoder(encoded(0.1 * random.normal(size=length), 48_000, form, subtype=kind))


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000])
def test_recovery_any_rate_is_resampled(rate):
    """A tone resampled is the tone sampled at the other rate; the ends ring."""
    heard = decode.audio((tone(rate), rate), 16_000)
    assert abs(len(heard) - 8000) <= 1
    np.testing.assert_allclose(heard[300:7700], tone(16_000)[300:7700], atol=2e-3)


def test_resampling_lets_nothing_fold_back():
    heard = decode.audio((tone(48_000, hertz=15_000), 48_000), 16_000)
    assert np.abs(heard[300:7700]).max() < 0.01


def test_all_forms_of_the_same_sound_are_one(tmp_path):
    samples = tone(8000)
    file = encoded(samples, 8000, "WAV", subtype="FLOAT")
    (tmp_path / "a.wav").write_bytes(file)
    forms = [
        str(tmp_path / "a.wav"),
        tmp_path / "a.wav",
        file,
        {"bytes": file, "path": "a.wav"},
        {"bytes": None, "path": str(tmp_path / "a.wav")},
        {"array": samples, "sampling_rate": 8000},
        (samples, 8000),
        (samples.tolist(), 8000),
        samples,  # alone: already at the rate that is asked for
        np.stack([samples, samples], 1),
        np.stack([samples, samples]),
        (8000, samples),  # as scipy.io.wavfile.read gives it
        torch.tensor(samples)[None].requires_grad_(),
        np.ma.masked_array(samples, False),
        bytearray(file),
        io.BytesIO(file),
        (tmp_path / "a.wav").as_uri(),
    ]
    for form in forms:
        assert KINDS["audio"].header_fault(form) is None
        np.testing.assert_allclose(decode.audio(form, 8000), samples, atol=1e-6)


def test_channels_are_averaged_and_integers_span_their_type():
    stereo = np.array([[1.0, 0.0], [0.5, -0.5], [0.0, 0.25]])
    np.testing.assert_allclose(decode.audio((stereo, 8000), 8000), [0.5, 0.0, 0.125])
    np.testing.assert_allclose(decode.audio(encoded(stereo * 0.9, 8000, "WAV", subtype="FLOAT"), 8000)[0], 0.45)
    np.testing.assert_allclose(decode.audio((np.int16([16384, -32768]), 8000), 8000), [0.5, -1.0])
    np.testing.assert_allclose(decode.audio((np.int32([2**30]), 8000), 8000), [0.5])
    np.testing.assert_allclose(decode.audio((np.uint8([128, 192, 0]), 8000), 8000), [0.0, 0.5, -1.0])
    np.testing.assert_allclose(decode.audio((np.float16([0.5, 1.5]), 8000), 8000), [0.5, 1.5])  # a little too loud
    assert not decode.audio((np.zeros(9), 8000), 8000).any()  # silence is a sound


def test_only_the_start_is_read():
    samples = tone(8000, seconds=2.0)
    for form in (encoded(samples, 8000, "FLAC"), (samples, 8000)):
        heard = decode.audio(form, 8000, seconds=0.25)
        np.testing.assert_allclose(heard, samples[:2000], atol=1e-4)
    assert len(decode.audio((samples, 8000), 16_000, seconds=0.25)) == 4000


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (b"nope", r"not a sound: 4 bytes \(Format not recognised\)"),
        ("nowhere.wav", r"not a sound: 'nowhere.wav' \(no such file\)"),
        (encoded(np.zeros(0), 8000, "WAV"), r"\(it holds no sample\)"),
        (np.zeros(0), r"not a sound: ndarray \(it holds no sample\)"),
        (np.array([0.0, np.nan]), r"\(it holds NaN or infinity\)"),
        ((np.zeros((2, 3, 4)), 8000), r"float64 samples of shape \(2, 3, 4\) at 8000 Hz; give floats or int16"),
        (([0, 3, 5], 8000), r"int64 samples of shape \(3,\)"),
        ((np.zeros(4), 0), r"samples at 0 Hz; a rate is a whole number from 1 to 1,000,000"),
        ((np.zeros(4), 2**31 - 1), r"samples at 2147483647 Hz"),
        ((np.zeros(4), 44_100.5), r"samples at 44100.5 Hz"),
        ((np.zeros(4), float("nan")), r"samples at nan Hz"),
        ({"array": np.zeros(4)}, r"samples without their 'sampling_rate'; give it in Hz"),
        ({"array": np.zeros(4), "sampling_rate": "fast"}, r"samples at 'fast' Hz"),
        (np.zeros(4) + 1j, r"complex128 samples"),
        (np.zeros(4, np.uint16), r"uint16 samples"),
        (np.zeros((3, 3)), r"which are the channels"),
        (np.zeros((2000, 3000)), r"2,000 channels, at most 1,024"),
        (np.ma.masked_array([0.0, 1.0], [True, False]), r"1 of 2 samples are masked"),
        (20_000 * tone(8000), r"samples up to .*, where 1 is full scale; .* divide by 32768"),
        (np.array([1e300, 0]), r"it holds NaN or infinity"),
        (7, r"not a sound: int \(no file; give a path, bytes or an array\)"),
    ],
)
def test_refusals_say_which_and_why(cell, reason):
    with pytest.raises(DataError, match=reason):
        decode.audio(cell, 8000)
    assert KINDS["audio"].fault(cell) == KINDS["audio"].header_fault(cell)


def test_broken_files_are_listed_and_count_as_missing(tmp_path):
    names = ["good.wav", "text.mp3", "empty.flac", "gone.ogg", "cut.flac"]
    whole = encoded(np.random.default_rng(0).normal(0, 0.1, 8000), 8000, "FLAC")
    (tmp_path / "good.wav").write_bytes(encoded(tone(8000), 8000, "WAV"))
    (tmp_path / "text.mp3").write_text("this is no sound")
    (tmp_path / "empty.flac").touch()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    table = tmp_path / "sounds.csv"
    table.write_text("sound,caption\n" + "".join(f"{name},caption {i}\n" for i, name in enumerate(names)))
    views = read(table)
    assert views.modalities["sound"] == "audio"
    listed = {bad["row"]: bad["reason"] for bad in views.bad_rows}
    assert set(listed) == {1, 2, 3, 4}
    assert "no such file" in listed[3]
    assert "cut.flac" in listed[4]
    assert views.present["sound"].tolist() == [True, False, False, False, False]
    with pytest.raises(DataError, match="the first is row 1, column 'sound': not a sound"):
        read(table, strict=True)


def wav(*, rate=8000, channels=1, bits=16, content=bytes(2000), says=None, code=1):
    """A WAV whose header may say anything; `says` is how many bytes of samples it claims."""
    says = len(content) if says is None else says
    form = struct.pack("<IHHIIHH", 16, code, channels, rate, rate * 2 % 2**32, channels * bits // 8 % 2**16, bits)
    head = b"WAVEfmt " + form + b"data" + struct.pack("<I", says)
    return b"RIFF" + struct.pack("<I", 36 + len(content)) + head + content


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (wav(rate=2**31 - 1), "it says 2,147,483,647 Hz, at most 1,000,000"),
        (wav(rate=0), "not a sound"),
        (wav(channels=65_535), "Too many channels"),
        (wav(bits=64), "not a sound"),
        (wav(content=b""), "it holds no sample"),
    ],
)
def test_a_header_beyond_the_bounds_is_refused(cell, reason):
    assert reason in KINDS["audio"].header_fault(cell)
    with pytest.raises(DataError, match=reason):
        decode.audio(cell, 16_000, seconds=5.0)


@pytest.mark.parametrize(
    "cell",
    [
        wav(says=2**32 - 1),
        wav(says=2**31),
        wav(rate=1),
        wav(rate=999_983),  # a prime: a filter for the exact ratio would take 160 MB
        wav(channels=1024, content=bytes(4096)),
    ],
)
def test_memory_follows_what_is_there_not_what_a_header_says(cell):
    tracemalloc.start()
    samples = decode.audio(cell, 16_000, seconds=5.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0 < len(samples) <= 80_000
    assert peak < 40e6


def test_a_ratio_of_large_numbers_is_that_of_near_ones():
    """Half a second at a prime rate: as long as it was, the tone where it was."""
    heard = decode.audio((tone(99_991), 99_991), 16_000)
    assert abs(len(heard) - 8000) <= 1
    np.testing.assert_allclose(heard[300:7700], tone(16_000)[300:7700], atol=2e-3)


def test_what_breaks_in_the_middle_is_found_by_decoding_alone():
    floats = np.zeros(5000, np.float32)
    floats[2500] = np.nan
    cell = wav(bits=32, code=3, content=floats.tobytes())
    assert KINDS["audio"].header_fault(cell) is None
    assert "it holds NaN or infinity" in decode.check("audio", cell)
    assert len(decode.audio(cell, 8000, seconds=0.25)) == 2000  # it begins well


def test_a_damaged_header_prints_nothing(capfd):
    """Places before the start of the bytes are asked for in the decoder's callbacks, whose errors are printed."""
    whole = encoded(tone(8000), 8000, "AIFF")
    for place in range(4, 64):
        for number in (b"\xff\xff\xff\xf0", b"\x80\0\0\0", b"\0\0\0\x80"):
            decode.check("audio", whole[:place] + number + whole[place + 4 :])
    assert "SDS is not read" in decode.check("audio", encoded(tone(8000), 8000, "SDS")[:2000])
    assert capfd.readouterr() == ("", "")
