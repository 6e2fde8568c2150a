"""From models and held-out rows to the plain data a page shows."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from bouba.data import decode
from bouba.data.characters import class_name
from bouba.data.decode.files import opened
from bouba.data.kinds import KINDS
from bouba.data.video import moves, video
from bouba.data.views import Views, is_missing
from bouba.errors import DataError
from bouba.evaluation.model import as_model
from bouba.metrics.similarity import similarities
from bouba.report.content import Cell, EmbeddingMap, Gallery, Item, Picture, Query

PICTURES_SHOWN = 600
QUESTIONS = 2000  # that proportions are measured on, at most
COLOURED = 12  # classes of a map
OTHERS = "(all others)"
SMALL = 20_000  # bytes: below it a cell is shown as it is stored


@dataclass(frozen=True)
class Method:
    """A fitted model under the name it has in the records."""

    name: str
    model: Any


def picture_bytes(cell) -> bytes:
    """A picture cell as encoded bytes: as it is stored when it is, else as WebP, at most 96 pixels wide."""
    if isinstance(cell, bytes) and len(cell) < SMALL:
        return cell
    return _webp(decode.image(cell))


def clip_bytes(cell) -> bytes:
    """A clip as encoded bytes: the whole animation as it is stored when it is small, else its middle picture."""
    if isinstance(cell, str | os.PathLike | bytes | dict) and moves(cell):
        with opened(cell) as file:
            stored = file.read(SMALL)
        if len(stored) < SMALL:
            return stored
    return _webp(video(cell, 1)[0])


def _webp(picture) -> bytes:
    picture.thumbnail((96, 96))
    out = io.BytesIO()
    picture.save(out, "WEBP", lossless=max(picture.size) <= 96)
    return out.getvalue()


SHOWN = {"image": picture_bytes, "video": clip_bytes}
"""Kinds that are seen, not read."""


def samples(views: Views, *, image: str, caption: str | None, keys: Sequence) -> list[Picture]:
    """The named things, in every domain they were drawn in. `image` is a view of pictures or of clips."""
    pictures = []
    for key in keys:
        for row in np.flatnonzero(views.things == key).tolist():
            if views[image].present[row]:
                name = str(views[caption][row]).split(":")[0] if caption else str(key)
                tag = "" if views.domain is None else str(views.domain[row])
                if (shown := picture_shown(views, image, row)) is not None:
                    pictures.append(Picture(shown, name, tag))
    return pictures


def galleries(
    methods: Sequence[Method],
    views: Views,
    *,
    ask: str,
    answer: str,
    rows: Sequence[int],
    title: str,
    k: int = 10,
    found: Mapping[str, tuple[int, int]] = MappingProxyType({}),
) -> list[Gallery]:
    """For each method, what the cells of view `ask` in some rows find among all cells of view `answer`, `k` shown.

    `found`: method -> how many of how many questions were answered among the first k, where `rows` are in proportion.
    """
    gallery = np.flatnonzero(views[answer].present)
    keys = views.things
    out = []
    for method in methods:
        space = _Space.of(method, views, ask, answer, gallery)
        queries = []
        for row in rows:
            scores, order = space.searched(row)
            correct = keys[gallery[order]] == keys[row]
            rank = int(np.argmax(correct)) + 1 if correct.any() else None
            best = [_item(views, answer, gallery[i], scores[i], keys[gallery[i]] == keys[row]) for i in order[:k]]
            truth = (
                None if rank is None else _item(views, answer, gallery[order[rank - 1]], scores[order[rank - 1]], True)
            )
            text, picture = cell_shown(views, ask, row)
            queries.append(Query(text, picture, "", rank, truth, best))
        out.append(Gallery(title, method.name, queries, found.get(method.name)))
    return out


@dataclass(frozen=True)
class _Space:
    """Questions (n, d) and the cells of a gallery (m, d), and what a cell loses for being near to everything (m,)."""

    questions: np.ndarray
    cells: np.ndarray
    compared_by: str
    offsets: np.ndarray

    @classmethod
    def of(cls, method: Method, views: Views, ask: str, answer: str, gallery: np.ndarray) -> _Space:
        z = method.model.embed(views.select(ask, answer))
        offsets: Mapping[str, np.ndarray] = getattr(method.model, "hub_offsets", lambda z: {})(z)
        of_cells = offsets[answer][gallery] if answer in offsets else np.zeros(len(gallery))
        return cls(z[ask], z[answer][gallery], as_model(method.model).compared_by, of_cells)

    def searched(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores (m,) of the cells for the question of a row, and the cells in order, the best first."""
        scores = similarities(self.questions[row : row + 1], self.cells, self.compared_by)[0]
        return scores, np.argsort(self.offsets / 2 - scores, kind="stable")


def cell_shown(views: Views, name: str, row: int) -> tuple[str | None, bytes | None]:
    """A cell as text, or as encoded bytes of a picture."""
    shown = picture_shown(views, name, row)
    return (None, shown) if shown is not None else (KINDS[views.modalities[name]].summary(views[name][row]), None)


def cells_shown(views: Views, row: int, names: Iterable[str]) -> list[Cell]:
    """Those of some views that a row has."""
    return [Cell(name, *cell_shown(views, name, row)) for name in names if views[name].present[row]]


def picture_shown(views: Views, name: str, row: int) -> bytes | None:
    """A cell as encoded bytes of a picture; None where it is not seen, or cannot be decoded."""
    encode = SHOWN.get(views.modalities[name])
    try:
        return encode(views[name][row]) if encode is not None and views[name].present[row] else None
    except DataError:
        return None


def _item(views: Views, name: str, row: int, score: float, correct: bool) -> Item:
    text, picture = cell_shown(views, name, row)
    return Item(text, picture, float(score), bool(correct), row_name(views, row) if picture else "")


def row_name(views: Views, row: int) -> str:
    """A short name of a row: its first text, else its key or number."""
    for name, kind in views.modalities.items():
        if kind == "text" and views[name].present[row]:
            return str(views[name][row]).split(":")[0][:60]
    return str(views.rows[row] if views.key is None else views.key[row])


def embedding_map(
    method: Method, views: Views, *, view: str, title: str, fused: bool = False, random_state: int = 0
) -> EmbeddingMap:
    """One view's embeddings on a plane by t-SNE, with every domain and label to colour by, and with what the model
    predicts of it; of more than COLOURED classes the rarer ones are one.

    `fused`: the fused vector of each row instead, shown by its cell of the view where it has one.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    rows = np.flatnonzero(np.any(list(views.present.values()), axis=0) if fused else views[view].present)
    random = np.random.default_rng(random_state)
    if len(rows) > PICTURES_SHOWN:
        rows = np.sort(random.choice(rows, PICTURES_SHOWN, replace=False))
    views = views[rows]
    z = method.model.fuse(views) if fused else method.model.embed(views.select(view))[view]
    z = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-6)
    start = "pca" if z.shape[1] > 1 and np.ptp(z, axis=0).max() > 1e-6 else "random"  # one number, or one point only
    with threadpool_limits(1):
        plane = TSNE(perplexity=min(30, (len(z) - 1) / 3), init=start, random_state=random_state).fit_transform(z)
    labels = {} if views.domain is None else {"domain": [str(d) for d in views.domain]}
    labels |= {name: ["?" if is_missing(v) else class_name(v) for v in of] for name, of in views.y.items()}
    labels |= _predicted(method.model, views) if getattr(method.model, "predicts", False) else {}
    labels = {name: kept for name, classes in labels.items() if (kept := _commonest(classes))}
    seen = views.modalities[view] in SHOWN
    pictures = [picture_shown(views, view, row) for row in range(len(views))] if seen else None
    names = [row_name(views, row) for row in range(len(views))]
    return EmbeddingMap(
        title, plane[:, 0].tolist(), plane[:, 1].tolist(), labels or {"": [""] * len(z)}, names, pictures
    )


def _predicted(model: Any, views: Views) -> dict[str, list[str]]:
    """What a model says of each label that has classes."""
    classes = {label: values[:, 0].argmax(1) for label, values in model.outputs(views).items() if values.ndim == 3}
    return {f"{label}, predicted": [str(model.classes(label)[i]) for i in of] for label, of in classes.items()}


def _commonest(classes: Sequence[str]) -> list[str] | None:
    """The same with COLOURED names at most; None where one name, or too many small ones, would tell nothing."""
    counts = Counter(classes)
    if len(counts) < 2 or len(counts) > len(classes) / 2:
        return None
    if len(counts) <= COLOURED:
        return list(classes)
    kept = {name for name, _ in counts.most_common(COLOURED - 1)}
    return [name if name in kept else OTHERS for name in classes]


def facts(views: Views, bad_rows: int = 0) -> list[tuple[str, str]]:
    """What the table is, in a strip."""
    strip = [("rows", f"{len(views):,}")]
    for name, column in views.columns.items():
        missing = int((~column.present).sum())
        strip.append((name, column.kind + (f", {missing:,} missing" if missing else "")))
    if views.domain is not None:
        strip.append(("domains", ", ".join(views.domains)))
    if views.key is not None:
        strip.append(("different things", f"{len(set(map(str, views.key))):,}"))
    for name, values in views.y.items():
        strip.append((name, f"{len({str(v) for v in values if not is_missing(v)})} classes"))
    return [*strip, ("cells that could not be read", f"{bad_rows:,}")] if bad_rows else strip


def pick_queries(views: Views, *, ask: str, answer: str, n: int, random_state: int = 0) -> list[int]:
    """Rows with both views, drawn at random: hits and misses as they come, nobody's favourites."""
    both = np.flatnonzero(views[ask].present & views[answer].present)
    return sorted(np.random.default_rng(random_state).choice(both, min(n, len(both)), replace=False).tolist())


@dataclass(frozen=True)
class Drawn:
    """Questions for a gallery.

    Args:
        rows: of the questions. found: how many of `of` questions, these among them, were answered among the first k.
    """

    rows: list[int]
    found: int
    of: int


def draw_queries(
    method: Method, views: Views, *, ask: str, answer: str, n: int, k: int = 10, random_state: int = 0
) -> Drawn:
    """Questions drawn at random so that hits and misses are in proportion to all of them, to the nearest whole number:
    nobody's favourites, and no lucky draw."""
    rows = np.asarray(pick_queries(views, ask=ask, answer=answer, n=QUESTIONS, random_state=random_state))
    gallery = np.flatnonzero(views[answer].present)
    keys = views.things
    space = _Space.of(method, views, ask, answer, gallery)
    found = np.array([bool((keys[gallery[space.searched(row)[1][:k]]] == keys[row]).any()) for row in rows], bool)
    hits = min(round(n * found.mean()), int(found.sum())) if len(rows) else 0
    random = np.random.default_rng(random_state)
    drawn = [*random.permutation(rows[found])[:hits], *random.permutation(rows[~found])[: n - hits]]
    return Drawn(sorted(map(int, drawn)), int(found.sum()), len(rows))


def curves(histories: Mapping[str, Sequence[dict]]) -> dict[str, list[dict]]:
    """Histories without what no one plots."""
    plotted = lambda part: part != "seconds" and ".deviation." not in part  # noqa: E731
    return {name: [{k: v for k, v in row.items() if plotted(k)} for row in rows] for name, rows in histories.items()}
