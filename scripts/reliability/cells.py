"""Cells of all kinds, sound and hostile: each is read or listed, under a clock and a memory limit."""

from __future__ import annotations

import io
import os
import struct
import wave
from pathlib import Path

import numpy as np
from PIL import Image

from bouba import read
from bouba.errors import BoubaError
from scripts.reliability import models  # it watches for programs that are started
from scripts.reliability.experiment import Experiment

MODES = ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "I;16")
FORMATS = ("png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm", "ico", "tga")
TEXTS = [
    "plain",
    "\ud83d",
    "\x00\x01\x1b[31m",
    "e\u0301",
    "\u200bzero",
    "x" * 200_000,
    "<script>",
    "ﬁ",
    "",
    " ",
    "\u202e",
]
ODD = [float("inf"), float("nan"), 1e308, 10**400, "three", None, -0.0, True, "1,5", [1, 2], {"a": 1}]


def picture(random: np.random.Generator, folder: Path) -> Path:
    mode, form = str(random.choice(MODES)), str(random.choice(FORMATS))
    side = tuple(int(n) for n in random.integers(1, 40, 2))
    file = folder / f"{random.integers(10**9)}.{form}"
    made = Image.new(mode, side)
    try:
        made.save(file, form)
    except Exception:  # a format that cannot hold the mode
        made.convert("RGB").save(file.with_suffix(".png"))
        file = file.with_suffix(".png")
    return file


def harmed(random: np.random.Generator, folder: Path) -> Path:
    file = picture(random, folder)
    data = bytearray(file.read_bytes())
    for place in random.integers(0, len(data), 4):
        data[place] = int(random.integers(256))
    file.write_bytes(data[: int(random.integers(0, len(data) + 1))] if random.random() < 0.5 else data)
    return file


def odd_file(random: np.random.Generator, folder: Path) -> Path:
    """No regular picture: a pipe, a device, a folder, a bomb, a program in disguise."""
    file, how = folder / f"{random.integers(10**9)}.png", int(random.integers(7))
    if how == 0:
        os.mkfifo(file)
    elif how == 1:
        file.symlink_to(str(random.choice(["/dev/zero", "/dev/urandom", "/dev/null", "/proc/self/mem"])))
    elif how == 2:
        file.mkdir()
    elif how == 3:
        file.symlink_to(file)
    elif how == 4:
        file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    elif how == 5:
        small = io.BytesIO()
        Image.new("L", (1, 1)).save(small, "png")
        data = bytearray(small.getvalue())
        data[16:24] = struct.pack(">II", 60_000, 60_000)
        file.write_bytes(data)
    return file  # 6: not there


def sound(random: np.random.Generator, folder: Path) -> Path:
    file = folder / f"{random.integers(10**9)}.wav"
    with wave.open(str(file), "wb") as out:
        out.setnchannels(int(random.integers(1, 5)))
        out.setsampwidth(int(random.choice([1, 2, 3, 4])))
        out.setframerate(int(random.choice([1, 100, 8000, 192_000])))
        out.writeframes(bytes(1200))
    if random.random() < 0.6:
        data = bytearray(file.read_bytes())
        data[4 + int(random.integers(0, 40))] = 255
        data[40:44] = struct.pack("<I", int(random.integers(0, 2**32)))
        file.write_bytes(data)
    return file


FILES = {"picture": picture, "harmed picture": harmed, "odd file": odd_file, "sound": sound}
KINDS = (*FILES, "text", "number", "array")


def trial(seed: int, folder: Path) -> str | None:
    """One odd cell among two sound ones."""
    random = np.random.default_rng(seed)
    kind, before = KINDS[seed % len(KINDS)], len(models.started)
    if kind in FILES:
        use, sane = ("audio", sound) if kind == "sound" else ("image", picture)
        cells = [str(sane(random, folder)), str(FILES[kind](random, folder)), None]
    elif kind == "text":
        use, cells = "text", ["sound", TEXTS[int(random.integers(len(TEXTS)))], "sound too"]
    elif kind == "number":
        use, cells = "vector", [[1.0, 2.0], [0.5, ODD[int(random.integers(len(ODD)))]], [3.0, 4.0]]
    else:
        types = [np.uint8, np.uint16, np.int16, np.float16, np.float32, np.float64, bool, np.int64]
        shape = [(6, 6), (6, 6, 3), (3, 6, 6), (6, 6, 1), (6, 6, 4), (6, 6, 7), (0, 6)][int(random.integers(7))]
        use = "image"
        cells = [np.zeros((6, 6, 3), np.uint8), np.ones(shape, types[int(random.integers(len(types)))]), None]
    try:
        named = {use: "cell"} | ({} if use == "text" else {"text": "note"})
        views = read({"cell": cells, "note": ["one", "two", "three"]}, **named)
        values = [views["cell"][row] for row in np.flatnonzero(views.present["cell"])]
        del values
    except BoubaError:
        return None
    except Exception as error:
        return f"{kind}: {type(error).__name__}: {' '.join(str(error).split())[:120]}"
    if len(models.started) > before:
        return f"{kind}: {models.started[before:]}"
    lost = len(cells) - len(views) - len({row["row"] for row in views.bad_rows})
    blank = sum(cell is None or (isinstance(cell, str) and not cell) for cell in cells)
    return f"{kind}: {lost} rows are neither read nor listed" if lost > blank else None


CELLS = Experiment(
    "cells",
    "a cell of any kind among sound ones: pictures of every mode and format, broken headers, pipes, devices, bombs, "
    "sounds, arrays, texts, numbers",
    "it is read, listed or refused by name; nothing hangs, no program is started",
    trial,
    trials=1000,
    few=60,
    seconds=120,
    clock=15,
    memory=2 << 30,
)
