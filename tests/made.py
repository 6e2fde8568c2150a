"""Views with a known answer, shared by all rooms."""

import csv
import io
import os

import numpy as np
from PIL import Image, ImageDraw

from bouba.data import Views


def twin_vectors(n=240, d=6, noise=0.1, seed=0):
    """Two vector views of the same latent numbers, so that their pairs can be found."""
    random = np.random.default_rng(seed)
    latent = random.normal(size=(n, d))
    mix = random.normal(size=(d, d + 3))
    left = latent + noise * random.normal(size=latent.shape)
    right = latent @ mix + noise * random.normal(size=(n, d + 3))
    return Views({"left": left, "right": right})


def write_things(folder):
    """A table on disk: 60 coloured shapes with captions, labels and two domains; one picture is no picture."""
    colours = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 80, 220), "yellow": (230, 200, 40)}
    rows = []
    for number in range(60):
        colour = list(colours)[number % 4]
        shape = ("circle", "square", "bar")[number // 4 % 3]
        picture = Image.new("RGB", (24, 24), "white")
        box = (3 + number % 5, 3, 18, 20 if shape != "bar" else 8)
        draw = ImageDraw.Draw(picture)
        (draw.ellipse if shape == "circle" else draw.rectangle)(box, fill=colours[colour])
        name = f"thing{number:02d}.png"
        picture.save(folder / name)
        rows.append([name, f"a {colour} {shape}", shape, "shop" if number % 2 else "studio"])
    (folder / "thing07.png").write_text("this is no picture")
    table = folder / "things.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["photo", "caption", "label", "domain"], *rows])
    return table


def film(pictures, form="mp4", codec="libx264", rotation=0):
    """PIL pictures of one size as an encoded film, ten a second."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = pictures[0].size
        stream.pix_fmt = "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    return file.getvalue()


def two_files(folder, n):
    """Two files of numbers, a view each."""
    random = np.random.default_rng(0)
    latent = random.normal(size=(n, 3))
    np.save(folder / "a.npy", latent)
    np.save(folder / "b.npy", latent @ random.normal(size=(3, 4)))
    return [folder / "a.npy", folder / "b.npy"]


def to_folder(file):
    """Put a folder in the place of a file."""
    file.unlink()
    file.mkdir()


def to_pipe(file):
    """Put a named pipe in the place of a file."""
    file.unlink()
    os.mkfifo(file)


SIZES = (("a", 5), ("b", 7), ("c", 4))


def related(n=200, seed=0):
    """Three vector views of the same two numbers; a class that they decide."""
    random, mix = np.random.default_rng(seed), np.random.default_rng(9)
    h = random.normal(size=(n, 2))
    columns = {v: 3 + 5 * np.tanh(h @ mix.normal(size=(2, d))) + 0.2 * random.normal(size=(n, d)) for v, d in SIZES}
    return Views(columns, y={"side": (h[:, 0] > 0).astype(int)})


def with_holes(views, seed=1, share=0.4):
    """Each cell missing with some probability, one left in every row."""
    random = np.random.default_rng(seed)
    gone = random.random((len(views), 3)) < share
    gone[np.arange(len(views)), random.integers(0, 3, len(views))] = False
    return views.replace(columns={name: views[name].without(gone[:, i]) for i, name in enumerate(views.columns)})
