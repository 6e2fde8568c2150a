"""What a run's index holds, as things to show: items, facets, filters, and a map."""

import numpy as np
import pytest
from made import write_things

import bouba
from bouba import Run
from bouba.errors import UsageError
from bouba.runs import coordinates as of_map
from bouba.search import Index

pytest.importorskip("lancedb")
pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Shapes with captions, their prices and a number of their own; one picture is none."""
    folder = tmp_path_factory.mktemp("gallery")
    views = bouba.read(write_things(folder))
    meta = {"photo_id": [f"P{n:03d}" for n in range(60)], "price": [n / 2 for n in range(60)]}
    views = views.replace(meta={**views.meta, **{name: np.array(of, object) for name, of in meta.items()}})
    return Run.fit(views, out=folder / "run", method="cca", n_components=4, holdout=0.2, allow_duplicates=True)


def test_an_item_has_its_id_its_caption_its_cells_and_its_columns(run):
    late, early = run.items([59, 7])
    assert (late.row, late.id, late.title) == (59, "P059", "a yellow bar")
    assert late.views["photo"].path.endswith("thing59.png")
    assert late.views["caption"].text == "a yellow bar"
    assert late.columns["price"] == 29.5
    assert late.columns["domain"] == "shop"
    assert "photo" not in early.views  # which is no picture
    assert early.views["caption"].kind == "text"


def test_rows_that_are_not_there_are_refused(run):
    for rows in ([60], [-1], [0, 10**12]):
        with pytest.raises(UsageError, match="the index has no row"):
            run.items(rows)
    with pytest.raises(UsageError, match="rows are whole numbers"):
        run.items(["0"])
    assert run.items([]) == []


def _by_hand(run, fits):
    """Rows whose item fits."""
    return [item.row for item in run.items(range(60)) if fits(item.columns)]


def test_filters_let_the_rows_through_that_fit_all(run):
    shop, cheap = {"column": "domain", "any": ["shop"]}, {"column": "price", "low": 3, "high": 10.5}
    expected = _by_hand(run, lambda c: c["domain"] == "shop" and 3 <= c["price"] <= 10.5)
    assert run.passing(filters=[shop, cheap]).tolist() == expected
    assert {hit.row for hit in run.search("red", k=60, filters=[shop, cheap])} == set(expected)
    bars = _by_hand(run, lambda c: c["domain"] == "shop" and c["label"] == "bar")
    assert run.passing("label = 'bar'", [shop]).tolist() == bars
    either = run.passing("label = 'bar' OR label = 'square'", [shop])
    assert set(either) <= set(run.passing(filters=[shop]))
    assert run.search("red", filters=[{"column": "price", "low": 1000}]) == []


@pytest.mark.parametrize(
    "filters",
    [
        {"column": "domain", "any": ["shop"]},
        [{"column": "domain"}],
        [{"column": "domain", "any": []}],
        [{"column": "domain", "any": "shop"}],
        [{"column": "domain", "any": [["shop"]]}],
        [{"column": "price", "low": float("nan")}],
        [{"column": "price", "low": None, "high": None}],
        [{"column": "price", "low": "1 OR 1 = 1"}],
        [{"column": "nowhere", "any": ["x"]}],
        [{"column": 3, "any": ["x"]}],
        ["domain"],
    ],
)
def test_a_filter_of_another_form_is_refused(run, filters):
    with pytest.raises(UsageError):
        run.passing(filters=filters)


@pytest.mark.parametrize("text", ["' OR '1' = '1", "shop') OR (1=1", "shop'--", "`", "''"])
def test_a_value_is_never_read_as_a_condition(run, text):
    assert len(run.passing(filters=[{"column": "domain", "any": [text]}])) == 0
    with pytest.raises(UsageError, match="no column"):
        run.passing(filters=[{"column": text, "any": ["shop"]}])


def test_facets_count_what_passes_the_filters_of_other_columns(run):
    shop = {"column": "domain", "any": ["shop"]}
    facets = {facet.name: facet for facet in run.facets(filters=[shop])}
    bars = _by_hand(run, lambda c: (c["domain"], c["label"]) == ("shop", "bar"))
    assert dict(facets["label"].values)["bar"] == len(bars)
    assert dict(facets["domain"].values) == {"shop": 30, "studio": 30}  # what else could be chosen
    assert sum(facets["price"].counts) == 30
    assert (facets["price"].edges[0], facets["price"].edges[-1]) == (0, 29.5)
    assert "photo_id" not in {*facets} or facets["photo_id"].kind == "values"


def test_a_column_of_many_texts_is_no_facet(tmp_path):
    texts = [f"text {n}" for n in range(500)]
    names = ["a" if n % 3 else None for n in range(500)]
    Index.create(tmp_path / "index", {"v": np.eye(500, 4) + 1}, columns={"text": texts, "name": names})
    listing = Index.open(tmp_path / "index").listing
    assert listing.coded("text") is None
    assert listing.coded("name").values == ("a",)
    assert (listing.coded("name").codes == np.where(np.arange(500) % 3, 0, -1)).all()


def test_a_listing_holds_the_rows_after_some_are_replaced_and_views_differ(tmp_path):
    there = np.array([True, False, True, True, False, True])
    Index.create(
        tmp_path / "index",
        {"a": np.eye(6, 3) + 1, "b": np.eye(6, 3) + 2},
        present={"a": there, "b": ~there},
        columns={"size": [float(n) for n in range(6)], "kind": list("xyxyxy")},
        rows=np.array([10, 20, 30, 40, 50, 60]),
    )
    index = Index.open(tmp_path / "index")
    before, version = index.listing, index.version
    index.add({"a": np.ones((2, 3))}, columns={"size": [9.0, 7.0], "kind": ["z", "z"]}, rows=np.array([20, 15]))
    listing = index.listing
    assert (listing is before, index.version == version) == (False, False)
    assert listing.rows.tolist() == [10, 15, 20, 30, 40, 50, 60]
    assert listing.numbers("size").tolist() == [0, 7, 9, 2, 3, 4, 5]
    coded = listing.coded("kind")
    assert [coded.values[code] for code in coded.codes] == list("xzzxyxy")
    assert listing.rows[listing.passing("size >= 4")].tolist() == [15, 20, 50, 60]
    assert [set(paths) for _, paths in listing.records(listing.places([20, 50]))] == [{"a"}, {"b"}]
    assert listing.texts("kind", 3) == ["x", "z", "z"]


def test_colours_are_places_in_the_legend(run):
    colours = run.colours("label")
    labels = [colours.values[code] for code in colours.codes]
    assert labels == [item.columns["label"] for item in run.items(range(60))]
    assert run.colours("price").codes[[0, 59]].tolist() == [0, 254]
    assert {"label", "domain", "price"} <= set(run.colourable())
    with pytest.raises(UsageError, match="no column"):
        run.colours("prize")


def _clusters(n, groups=8, seed=0):
    """(n, 16) numbers around a few centres, and which."""
    random = np.random.default_rng(seed)
    which = random.integers(0, groups, n)
    return random.normal(size=(groups, 16))[which] + 0.2 * random.normal(size=(n, 16)), which


def _purity(made, which):
    """Share of points whose nearest other point is of the same group."""
    points = np.stack([made.x, made.y], axis=1).astype(np.float64)
    distances = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    return (which[distances.argmin(axis=1)] == which).mean()


def test_rows_that_are_alike_lie_together_also_those_that_were_not_arranged(tmp_path, monkeypatch):
    z, which = _clusters(600)
    index = Index.create(tmp_path / "index", {"v": z})
    monkeypatch.setattr(of_map, "MOST", 150)
    monkeypatch.setattr(of_map, "AT_ONCE", 128)
    shares = []
    made = of_map.coordinates(index, shares.append)
    assert (made.x.dtype, made.x.shape, len(made)) == (np.float32, (600,), 600)
    assert made.rows.tolist() == list(range(600))
    assert 0 <= min(made.x.min(), made.y.min()) <= max(made.x.max(), made.y.max()) <= 1
    assert _purity(made, which) > 0.95  # chance: 1 / 8
    assert len(np.unique(np.stack([made.x, made.y]), axis=1).T) == 600
    assert (shares[-1], shares == sorted(shares)) == (1, True)
    again = of_map.coordinates(index)
    assert (made.x == again.x).all()
    assert (made.y == again.y).all()


def test_views_lie_together_that_a_row_has_only_one_of(tmp_path):
    z, which = _clusters(160)
    gap = np.linspace(3, 5, 16)  # views lie apart, as they do after training
    there = np.arange(160) % 2 == 0
    index = Index.create(tmp_path / "index", {"a": z, "b": z + gap}, present={"a": there, "b": ~there})
    made = of_map.coordinates(index)
    points = np.stack([made.x, made.y], axis=1)
    nearest = [((points[there] - point) ** 2).sum(axis=1).argmin() for point in points[~there]]
    assert (which[there][nearest] == which[~there]).mean() > 0.9


@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_few_rows_have_a_map_too(tmp_path, n):
    index = Index.create(tmp_path / "index", {"v": np.ones((n, 3))})
    made = of_map.coordinates(index)
    assert len(made) == n
    assert np.isfinite(made.x).all()


def test_a_map_is_kept_until_the_index_changes(run, monkeypatch):
    opened = bouba.Run.open(run.path)
    assert opened.map(compute=False) is None
    made = opened.map()
    monkeypatch.setattr(of_map, "coordinates", lambda *_: pytest.fail("it is made again"))
    assert (bouba.Run.open(run.path).map().x == made.x).all()
    (file,) = (run.path / "map").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert bouba.Run.open(run.path).map(compute=False) is None
    monkeypatch.undo()
    (run.path / "map" / "cells-old-1.npz").write_bytes(b"")
    assert (bouba.Run.open(run.path).map().x == made.x).all()
    assert [one.name for one in (run.path / "map").iterdir()] == [file.name]


def test_a_folder_that_cannot_be_written_keeps_no_map(run, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(of_map.os, "replace", refuse)
    monkeypatch.setattr(of_map, "FOLDER", "another")
    opened = bouba.Run.open(run.path)
    assert opened.map() is opened.map()
    assert not list((run.path / "another").glob("*"))
