"""bouba bench cache: what an epoch costs when a frozen text encoder reads every text again, and on cached features.

The encoder is a BERT with random weights (they cost as much as trained ones), written to a temporary directory and
given to Pretrained by its path. Texts are paired with vectors and trained by InfoNCE. Times are CPU-seconds of one
process: read the ratio. An epoch that reads every text again is one pass of the encoder over all texts, timed batch by
batch without any cache, and one epoch of training on ready features, timed inside a fit.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from bouba.bench.kept import Keeper, Out, print_tables
from bouba.data.views import Column, Views
from bouba.errors import require
from bouba.evaluation.table import Table
from bouba.learner import Learner
from bouba.terms import InfoNCE
from bouba.towers import MLP, Pretrained

WORDS = 1000
LETTERS = "abcdefghij"


def command(
    rows: Annotated[int, typer.Option(help="Texts, each paired with a vector.")] = 2048,
    words: Annotated[int, typer.Option(help="Words of a text.")] = 32,
    layers: Annotated[int, typer.Option(help="Layers of the encoder.")] = 6,
    hidden: Annotated[int, typer.Option(help="Width of the encoder.")] = 384,
    batch: Annotated[int, typer.Option(help="Rows of a training step.")] = 512,
    epochs: Annotated[int, typer.Option(help="Epochs timed on cached features.")] = 20,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    out: Out = None,
) -> None:
    """CPU-seconds of an epoch with and without cached features."""
    torch.set_num_threads(threads)
    keeper = Keeper(out)
    figures = measure(rows, words, layers, hidden, batch, epochs)
    keeper.write(figures)
    print_tables(tables(figures))


def tables(figures: dict[str, Any]) -> dict[str, Table]:
    """ "epochs": what one costs."""
    named = {
        "first epoch, nothing cached": figures["first_epoch_cpu_s"],
        "first epoch, cached by an earlier run": figures["warm_first_epoch_cpu_s"],
        "each later epoch, on ready features": figures["cached_epoch_cpu_s"],
        "each epoch, if every text were read again": figures["encoding_epoch_cpu_s"],
    }
    note = (
        f"{figures['ratio']:,.0f} times less CPU an epoch. {figures['rows']:,} texts of {figures['words']} words, an "
        f"encoder of {figures['layers']} layers of width {figures['hidden']}, batches of {figures['batch']}, threads: "
        f"{figures['threads']}. Later epochs: the median of {figures['epochs']} in each of two fits."
    )
    lines = [[name, f"{spent:.3f}"] for name, spent in named.items()]
    return {"epochs": Table(["an epoch", "CPU-s"], lines, note=note)}


def measure(rows: int, words: int, layers: int, hidden: int, batch: int, epochs: int) -> dict[str, Any]:
    """All figures at one size."""
    with tempfile.TemporaryDirectory() as folder, _cache_in(Path(folder) / "cache"):
        checkpoint = write_bert(Path(folder) / "bert", layers, hidden, most=words + 2)
        views = _views(rows, words)
        warm_up = views[np.arange(64)]
        _fit(checkpoint, warm_up, batch, 1)  # libraries load what they load on first use
        cold, warm = (_fit(checkpoint, views, batch, epochs) for _ in range(2))
        encoding = _encoding(checkpoint, views)
    cached = statistics.median(cold[1:] + warm[1:])
    return {
        "rows": rows,
        "words": words,
        "layers": layers,
        "hidden": hidden,
        "batch": batch,
        "epochs": epochs,
        "threads": torch.get_num_threads(),
        "first_epoch_cpu_s": cold[0],
        "warm_first_epoch_cpu_s": warm[0],
        "cached_epoch_cpu_s": cached,
        "encoding_epoch_cpu_s": encoding + cached,
        "ratio": (encoding + cached) / cached,
    }


def write_bert(folder: Path, layers: int, hidden: int, *, most: int) -> Path:
    """A BERT with random weights and a tokenizer of WORDS made-up words, as save_pretrained writes it."""
    transformers = require("transformers", "pretrained")
    from tokenizers import Tokenizer, models, pre_tokenizers

    config = transformers.BertConfig(
        vocab_size=WORDS + 2,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=max(1, hidden // 32),
        intermediate_size=4 * hidden,
        max_position_embeddings=most + 2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)
    names = {name: number for number, name in enumerate(["[PAD]", "[UNK]", *map(_word, range(WORDS))])}
    tokenizer = Tokenizer(models.WordLevel(names, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(folder)
    return folder


def _word(number: int) -> str:
    return "".join(LETTERS[int(digit)] for digit in str(number))


def _views(rows: int, words: int) -> Views:
    random = np.random.default_rng(0)
    texts = [" ".join(map(_word, random.integers(0, WORDS, words))) for _ in range(rows)]
    return Views({"text": Column.of(texts, "text"), "numbers": random.normal(size=(rows, 32))})


def _fit(checkpoint: Path, views: Views, batch: int, epochs: int) -> list[float]:
    """CPU-seconds of each epoch; the first holds all that comes before it."""
    towers = {"text": Pretrained(str(checkpoint)), "numbers": MLP(hidden=())}
    stamps = [time.process_time()]
    model = Learner(towers, InfoNCE(), epochs=epochs + 1, batch_size=batch)
    model.fit(views, on_epoch=lambda row: stamps.append(time.process_time()))
    return np.diff(stamps).tolist()


def _encoding(checkpoint: Path, views: Views) -> float:
    """CPU-seconds of one pass of the encoder over all texts."""
    spec = Pretrained(str(checkpoint), cache=False).on("text")
    texts = [views["text"][row] for row in range(len(views))]
    encoder = spec.build(spec.learn(texts))
    spec.start(encoder)
    start = time.process_time()
    for first in range(0, len(texts), 256):
        encoder.prepare(texts[first : first + 256])
    return time.process_time() - start


@contextmanager
def _cache_in(folder: Path):
    """Inside, features are kept in `folder`, which is empty."""
    before = os.environ.get("BOUBA_CACHE")
    os.environ["BOUBA_CACHE"] = str(folder)
    try:
        yield
    finally:
        del os.environ["BOUBA_CACHE"]
        if before is not None:
            os.environ["BOUBA_CACHE"] = before
