"""bouba bench: measurements anyone can repeat. Each lives in the file of its name in bouba/bench."""

from __future__ import annotations

import importlib
import sys

import typer

BENCHES = {  # name -> what it says in `bouba bench --help`
    "emoji": "CLIP against CLIP + domain-adversarial training on a drawing style without captions.",
    "info-nce": "Time and memory of the tiled contrastive loss, against CLIP's formula.",
    "cca": "Time, memory and agreement of linear CCA, against other libraries and the floor.",
    "sparse-cca": "Matrix-free CCA on two sparse views of 100,000 columns with planted correlations.",
    "mnist-halves": "Linear, kernel and deep CCA of the left and right halves of digits.",
    "mfeat": "Six views of numerals, all there and most missing: fusion against zeros and late fusion.",
    "cache": "CPU of an epoch on cached features of a frozen tower, against encoding anew.",
    "av-digits": "Degraded pictures and sounds of digits: fusion against each alone and late fusion.",
    "mmd": "Time and memory of the maximum mean discrepancy, against whole kernel matrices.",
    "mnist-m": "Digits learnt in black and white, read in colour: every way to adapt, and colour augmentation.",
    "usps": "Digits of MNIST and USPS, each way: every way to adapt, and data preparation alone.",
    "speakers": "Spoken digits, each speaker in turn as the unlabelled target: every way to adapt.",
    "simclr": "Contrastive learning from drawings alone, against the untrained network and raw pixels.",
    "text-to-emoji": "Drawings from unseen names, or redrawn in another style: GAN, flow, regression, neighbour.",
}


def group() -> typer.Typer:
    """All benches as one command; only the one that is asked for is imported."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)
    asked = next((a for a in sys.argv[2:] if not a.startswith("-")), None)
    for name, said in BENCHES.items():
        command = _not_imported
        if name == asked:
            command = importlib.import_module(f"bouba.bench.{name.replace('-', '_')}").command
        app.command(name, help=said)(command)
    return app


def _not_imported() -> None:
    """Stands for a bench that was not asked for."""
