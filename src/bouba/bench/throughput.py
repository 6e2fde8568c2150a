"""bouba bench throughput: how near training comes to a bare loop over tensors that are ready, and to both cores.

    towers    ConvNet and NGrams on captioned emoji, and heads on ready features: an epoch of `fit` and an epoch of ten
              lines of PyTorch over the same tensors, towers and loss, by turns
    files     pictures of 640 x 480 in JPEG files with captions, read, prepared and trained on for an epoch, by fresh
              processes that have imported what they need, on one core and on two, by turns
    large     with --large: ResNet-50 and BERT-base, random weights, trained from such files, against the bare step on a
              batch that lies on the device

On a CPU towers are timed in CPU-seconds, which neighbours hardly change; files and what a GPU does in seconds by the
clock.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from bouba.batch import Batch
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.data import samples
from bouba.data.loader import Rows
from bouba.data.views import Views
from bouba.data.workers import core_count
from bouba.device import device_named, running_on
from bouba.evaluation.table import Table
from bouba.learner import Learner
from bouba.terms import InfoNCE
from bouba.terms.info_nce import info_nce
from bouba.towers import MLP, ConvNet, EncoderSpec, NGrams, Pretrained
from bouba.train.processes import accelerator
from bouba.train.step import Schedule, optimizer_for

DISTINCT = 250  # pictures; the others are their copies with a comment, which costs as much to read
WORDS = ("red", "green", "blue", "round", "flat", "dog", "car", "tree", "house", "boat")
CLIP = 5.0  # largest norm of a gradient


def command(
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    batch: Annotated[int | None, typer.Option(help="Rows of a step of the small towers; 256, on a GPU 1,024.")] = None,
    epochs: Annotated[int, typer.Option(help="Epochs of each, by turns.")] = 8,
    rows: Annotated[int | None, typer.Option(help="Emoji; all that are captioned if not said.")] = None,
    pictures: Annotated[int, typer.Option(help="JPEG files; 0 leaves `files` out.")] = 8000,
    repeats: Annotated[int, typer.Option(help="Runs on one core and on two.")] = 3,
    large: Annotated[bool, typer.Option("--large", help="Also ResNet-50 and BERT-base.")] = False,
    large_rows: Annotated[int, typer.Option(help="Pictures of `large`.")] = 8192,
    layers: Annotated[int | None, typer.Option(help="Layers of a smaller BERT and ResNet, to try `large` on.")] = None,
    compiled: Annotated[bool, typer.Option("--compiled", help="Also towers that are compiled.")] = False,
    out: Out = None,
) -> None:
    """Epochs of training beside those of a bare loop; one core beside two."""
    keeper, place = Keeper(out), device_named(device)
    figures: dict[str, Any] = {"device": _name(place), "cores": core_count(), "threads": torch.get_num_threads()}
    batch = batch or (256 if place.type == "cpu" else 1024)
    with running_on(device), tempfile.TemporaryDirectory() as folder:
        for name, (views, towers) in _small(rows).items():
            figures[name] = beside_bare(views, towers, place, batch, epochs)
            if compiled:
                figures[f"{name}, compiled"] = beside_bare(views, towers, place, batch, epochs, compiled=True)
        if pictures:
            table = write_pictures(Path(folder) / "files", pictures)
            figures["files"] = on_cores(table, repeats)
        if large:
            table = write_pictures(Path(folder) / "large", large_rows)
            figures["large"] = large_beside_bare(table, place, layers)
    keeper.write(figures)
    print_tables(tables(figures))


def tables(figures: dict[str, Any]) -> dict[str, Table]:
    """ "towers": an epoch of each; "files" and "large", where they were measured."""
    unit = "CPU-s" if figures["device"] == "cpu" else "s"
    note = f"{figures['device']}, {figures['cores']} cores, threads of torch: {figures['threads']}; medians."
    lines = []
    for name, of in figures.items():
        if isinstance(of, dict) and "bare" in of and name != "large":
            fit, bare = (statistics.median(of[way]) for way in ("fit", "bare"))
            lines.append(
                [name, f"{of['rows']:,}", f"{of['batch']:,}", f"{fit:.3f}", f"{bare:.3f}", f"{bare / fit:.0%}"]
            )
    header = ["towers", "rows", "batch", f"epoch of fit, {unit}", f"bare loop, {unit}", "of the bare loop's rate"]
    made = {"towers": Table(header, lines, note=note)}
    if "files" in figures:
        of = figures["files"]
        one, two = (statistics.median(of[way]["seconds"]) for way in ("one", "two"))
        lines = [
            [way, f"{of['pictures'] / s:,.0f}", f"{statistics.median(of[core]['cpu_seconds']):.1f}"]
            for way, core, s in (("one core", "one", one), ("two cores", "two", two))
        ]
        made["files"] = Table(
            ["read, prepared, trained on", "pictures/s", "CPU-s"],
            lines,
            note=f"{of['pictures']:,} JPEG files of 640 x 480; two cores: {one / two:.2f} times one's rate. {note}",
        )
    if "large" in figures:
        of = figures["large"]
        lines = [[way, f"{statistics.median(of[way]):,.0f}"] for way in ("fit", "bare")]
        made["large"] = Table(
            ["ResNet-50 and BERT-base", "pictures/s"],
            lines,
            note=f"{statistics.median(of['fit']) / statistics.median(of['bare']):.0%} of the bare step. {note}",
        )
    return made


def _small(rows: int | None) -> dict[str, tuple[Views, dict[str, EncoderSpec]]]:
    """Name -> rows and towers of scratch, and of heads on numbers like those of frozen encoders."""
    emoji = samples.emoji()
    emoji = emoji[np.flatnonzero(emoji.present["en"])][: rows or len(emoji)].select("image", "en").replace(domain=None)
    random = np.random.default_rng(0)
    numbers = {name: random.normal(size=(len(emoji), width)) for name, width in (("image", 1280), ("en", 384))}
    return {
        "ConvNet and NGrams": (emoji, {"image": ConvNet(), "en": NGrams()}),
        "heads on features": (Views(numbers), {"image": MLP(hidden=()), "en": MLP(hidden=())}),
    }


def beside_bare(
    views: Views, towers: dict[str, EncoderSpec], device: torch.device, batch: int, epochs: int, *, compiled=False
) -> dict[str, Any]:
    """Seconds of epochs of fit and of a bare loop, one after the other; the first of each warms up."""
    model = Learner(towers, InfoNCE(), epochs=epochs + 1, batch_size=batch, device=str(device), compile=compiled)
    bare: Callable[[], None] | None = None
    spent: dict[str, list[float]] = {"fit": [], "bare": []}
    mark = 0.0

    def turn(row: dict) -> None:
        nonlocal bare, mark
        ended = _clock(device)
        if bare is None:
            bare = bare_loop(model, views, device, batch)
            bare()
        else:
            spent["fit"].append(ended - mark)
            started = _clock(device)
            bare()
            spent["bare"].append(_clock(device) - started)
        mark = _clock(device)

    model.fit(views, on_epoch=turn)
    return {"rows": len(views), "batch": batch, **spent}


def bare_loop(model: Learner, views: Views, device: torch.device, batch: int) -> Callable[[], None]:
    """An epoch as one would write it for these towers alone: tensors that are ready on the device, and nothing else."""
    rows = Rows(views, model._encoders(), model.codes_)
    cells = {name: {part: t.to(device) for part, t in of.items()} for name, of in rows.cached.items()}
    network = Learner(model.towers, InfoNCE(), epochs=1, batch_size=batch, device=str(device)).fit(views[:64]).module_
    towers, tau = network.towers, network.state[0]
    optimizer, fabric = optimizer_for(network, Schedule()), accelerator(str(device))

    def epoch() -> None:
        network.train()
        for chosen in torch.randperm(len(views)).to(device).split(batch):
            with fabric.autocast():
                z = {}
                for name, of in cells.items():
                    inputs = towers[name].encoder.vary({part: tensor[chosen] for part, tensor in of.items()})
                    z[name] = towers[name](inputs)
            loss = info_nce(*(each.float() for each in z.values()), temperature=tau())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimizer.step()
            tau.after_step()

    return epoch


def on_cores(table: Path, repeats: int) -> dict[str, Any]:
    """Seconds and CPU-seconds of fresh processes that fit for an epoch, on one core and on two."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    measured: dict[str, Any] = {"pictures": sum(1 for _ in table.parent.glob("*.jpg"))}
    for _ in range(repeats):
        for name, pinned in (("one", cores[:1]), ("two", cores)):
            code = "import sys; from bouba.bench.throughput import fit_files; fit_files(*sys.argv[1:])"
            words = [sys.executable, "-c", code, str(table), ",".join(map(str, pinned))]
            environment = os.environ | {"OMP_NUM_THREADS": str(len(pinned))}
            output = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout
            for figure, value in json.loads(output.splitlines()[-1]).items():
                measured.setdefault(name, {}).setdefault(figure, []).append(value)
    return measured


def fit_files(table: str, cores: str) -> None:
    """In a fresh process: read a table of pictures, fit small towers for an epoch on some cores, print what it cost;
    after an epoch of a few of them, in which modules are imported."""
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    from bouba import read
    from bouba.bench.kept import cpu_seconds

    towers = {"photo": ConvNet(), "caption": NGrams()}
    learner = Learner(towers, InfoNCE(), epochs=1, batch_size=256, device="cpu")
    learner.fit(read(table)[:64])
    start, spent = time.perf_counter(), cpu_seconds()
    learner.fit(read(table))
    typer.echo(json.dumps({"seconds": time.perf_counter() - start, "cpu_seconds": cpu_seconds() - spent}))


def large_beside_bare(table: Path, device: torch.device, layers: int | None) -> dict[str, list[float]]:
    """Pictures a second, of epochs of fit from files and of the step alone."""
    from bouba import read

    bert = None if layers is None else {"num_hidden_layers": layers, "hidden_size": 64, "num_attention_heads": 2}
    resnet = None if layers is None else {"depths": [1] * 4, "hidden_sizes": [32, 64, 64, 64], "embedding_size": 16}
    size = None if layers is None else 64
    towers = {
        "photo": Pretrained("resnet", train="scratch", config=resnet, size=size),
        "caption": Pretrained("bert", train="scratch", config=bert),
    }
    views = read(table)
    batch = 256 if layers is None else 16
    seconds: list[float] = []
    model = Learner(towers, InfoNCE(), epochs=3, batch_size=batch, device=str(device), lr=1e-4)
    model.fit(views, on_epoch=lambda row: seconds.append(row["seconds"]))
    rows = Rows(views[:batch], model._encoders(), model.codes_, memory=0)
    ready = rows.batch(rows.rows).to(device)
    step, bare = _bare_step(model, ready, device), []
    for _ in range(4):
        started = _wall(device)
        for _ in range(10 if layers is None else 2):
            step()
        bare.append((10 if layers is None else 2) * batch / (_wall(device) - started))
    return {
        "fit": [len(views) / each for each in seconds[1:]],
        "first epoch": [len(views) / seconds[0]],
        "bare": bare[1:],
    }


def _bare_step(model: Learner, ready: Batch, device: torch.device) -> Callable[[], None]:
    network, fabric = model.module_.train(), accelerator(str(device))
    optimizer = optimizer_for(network, Schedule(lr=1e-4))

    def step() -> None:
        with fabric.autocast():
            loss, _ = network(ready)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()

    return step


def write_pictures(folder: Path, count: int) -> Path:
    """A table of JPEG files of 640 x 480 with captions."""
    from PIL import Image

    folder.mkdir(parents=True)
    random, lines = np.random.default_rng(0), ["photo,caption"]
    drawn = []
    for _ in range(min(DISTINCT, count)):
        coarse = Image.fromarray(random.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize((640, 480), 3)
        pixels = np.asarray(coarse).astype(np.int16) + random.integers(-12, 12, (480, 640, 3), dtype=np.int16)
        file = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
        drawn.append(file.getvalue())
    for number in range(count):
        content, comment = drawn[number % len(drawn)], str(number).encode()
        note = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment  # behind the mark that begins the file
        (folder / f"{number:06}.jpg").write_bytes(content[:2] + note + content[2:])
        lines.append(f"{number:06}.jpg,{' '.join(random.choice(WORDS, 4))} {number}")
    table = folder / "pictures.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def _clock(device: torch.device) -> float:
    return time.process_time() if device.type == "cpu" else _wall(device)


def _wall(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
