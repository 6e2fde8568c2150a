"""A run from Python alone: made, opened, asked; and the command line says the same."""

import csv
import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from made import write_things
from PIL import Image

import bouba
from bouba import InfoNCE, Learner, NGrams, Run
from bouba.cli import main
from bouba.errors import DataError, ModalityError, UsageError
from bouba.runs.describing import recipe_of
from bouba.runs.known import WHOLE
from bouba.runs.methods import (
    ADAPTED_CLIP,
    CLASSIFIER,
    LEARNER,
    METHODS,
    REGRESSOR,
)
from bouba.runs.recipe import build
from bouba.runs.toml import to_toml

pytest.importorskip("lancedb")
pytest.importorskip("plotly")

QUICK = {"epochs": 1, "dim": 4}
OBJECTIVE = [{"term": "InfoNCE"}]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Pictures with captions and labels; and numbers with captions and a number to predict."""
    folder = tmp_path_factory.mktemp("tables")
    things, numbers = write_things(folder), folder / "numbers.csv"
    random = np.random.default_rng(0)
    with numbers.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "words", "price"])
        for a, b in random.normal(size=(60, 2)):
            writer.writerow([f"{a:.4f}", f"{b:.4f}", "dear and good" if a > 0 else "cheap stuff", f"{a + b:.4f}"])
    return things, numbers


def fit(method, tables, out):
    """A small run of one method."""
    table = tables[1] if method is REGRESSOR else tables[0]
    options = {"label": "price"} if method is REGRESSOR else {}
    arguments = {} if method.solved else dict(QUICK)
    arguments |= {"hidden": 8, "side": 8} if method.translates else {}
    return table, Run.fit(
        table,
        method=method.name,
        out=out,
        recipe={"objective": OBJECTIVE} if method is LEARNER else None,
        read=options | ({"ignore": "price"} if method is CLASSIFIER and table is tables[1] else {}),
        target="shop" if method.needs_target else None,
        holdout=0.4,
        baseline=False,
        **arguments,
    )


def printed(capsys, *words):
    """The JSON that a command prints."""
    capsys.readouterr()
    before, sys.argv = sys.argv, ["bouba", *map(str, words), "--json"]
    try:
        with pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = before
    assert not end.value.code
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_every_method_makes_a_run_that_python_and_the_command_line_ask_alike(method, tables, tmp_path, capsys):
    table, _ = fit(method, tables, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert run.recipe["method"] == run.name == method.name
    assert run.method is method
    assert type(run.model) is method.cls
    assert {record.method for record in run.result} <= {method.name, *method.rivals}
    assert bool(run.history) is not method.solved
    assert [bad["row"] for bad in run.bad_rows] == ([] if table is tables[1] else [7])
    assert run.report().name == "report.html"
    if run.model.searchable and "text" in {run.model.kinds_[view] for view in run.model.searchable}:
        hits = run.search("a red circle", k=3)
        records = printed(capsys, "search", run.path, "a red circle", "-k", 3)
        assert [vars(hit) for hit in hits] == [{name: record[name] for name in vars(hits[0])} for record in records]
        assert [(item.id, item.title) for item in run.items([hit.row for hit in hits])] == [
            (record["id"], record["title"]) for record in records
        ]
    records = [vars(record) for record in run.evaluate(table)]
    assert records == printed(capsys, "evaluate", run.path, table)
    if run.model.predicts:
        assert run.predict(table) == printed(capsys, "predict", run.path, table)["rows"]
        label = next(iter(run.model.outputs(run.read(table)[:1])))
        explained = run.explain(table, label=label)[label]
        values = [record["whole"] for record in printed(capsys, "explain", run.path, table, "--label", label)]
        assert explained.whole.tolist() == values
    if method.translates:
        made = run.translate(table, out=tmp_path / "python")
        shown = printed(capsys, "translate", run.path, table, "-o", tmp_path / "command")
        assert list(made.files) == shown["files"]
        for file in made.files:
            one, two = ((tmp_path / side / file["file"]).read_bytes() for side in ("python", "command"))
            assert one == two


@pytest.fixture(scope="module")
def clip(tables, tmp_path_factory):
    """One run that the tests below share."""
    out = tmp_path_factory.mktemp("runs") / "clip"
    said = []
    run = Run.fit(tables[0], out=out, holdout=0.3, epochs=8, dim=16, lr=0.01, say=said.append)
    assert any(line.startswith("Views(60 rows") for line in said)
    return run


def test_opening_loads_nothing(clip):
    run = Run.open(clip.path)
    assert set(vars(run)) == {"path", "device", "_place"}
    assert repr(run) == f"Run({str(clip.path)!r})"
    assert Run.open(clip.path / "model").path == clip.path
    with pytest.raises(DataError, match="no model in"):
        Run.open(clip.path / "nowhere")


def test_what_fit_gives_is_what_open_gives(clip, tables):
    again = Run.open(clip.path)
    views = clip.read(tables[0])
    for name, z in clip.model.embed(views).items():
        assert np.array_equal(z, again.model.embed(views)[name])
    assert again.schema == clip.schema
    assert again.result.records == clip.result.records
    assert again.history == clip.model.history_


def test_a_query_is_words_a_picture_a_vector_or_several_of_them(clip, tables):
    picture = tables[0].parent / "thing00.png"
    by_file = clip.search(picture, k=5)
    assert {hit.view for hit in by_file} == {"photo"}
    assert {hit.view for hit in clip.search("a red circle", k=5)} == {WHOLE}
    assert {hit.row: hit.score for hit in by_file}[0] == pytest.approx(1, abs=1e-5), "a picture finds itself"
    assert {hit.view for hit in clip.search(picture, view="caption")} == {"caption"}
    for same in (Image.open(picture), {"photo": picture}, np.asarray(Image.open(picture))):
        hits = clip.search(same, k=5)
        assert [hit.row for hit in hits] == [hit.row for hit in by_file]
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in by_file], abs=1e-5)
    z = clip.model.embed(clip.read({"caption": ["a red circle"]}))["caption"][0]
    assert clip.search(z, k=5, view="photo") == clip.search("a red circle", k=5, view="photo")
    anywhere = clip.search(z, k=120)
    assert [hit.row for hit in anywhere] == list(dict.fromkeys(hit.row for hit in anywhere)), "a row comes once"
    both = clip.search({"caption": "a red circle", "photo": str(picture)}, k=5)
    assert both != by_file
    shop = clip.search("a red circle", equals={"label": "bar"}, where="domain = 'shop'")
    assert {(hit.columns["label"], hit.columns["domain"]) for hit in shop} == {("bar", "shop")}


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ({}, UsageError, "say what to look for"),
        ({"foto": "x"}, ModalityError, "the model has no view 'foto'; did you mean 'photo'"),
        (Path("cat.wav"), ModalityError, "the model reads no sounds; it has photo"),
        (Path("nowhere.png"), DataError, "no such file"),
    ],
)
def test_queries_that_are_refused(clip, query, error, message):
    with pytest.raises(error, match=message):
        clip.search(query)


def test_a_table_is_read_as_it_was_for_training(clip, tables, tmp_path):
    """Kinds and roles are those of training, whatever a guess would say of the few cells that are there."""
    table = tmp_path / "more.csv"
    table.write_text("domain,caption,label,photo\nshop,circle,circle,\nshop,circle,circle,\n")
    views = clip.read(table)
    assert views.modalities == {"photo": "image", "caption": "text"}
    assert (list(views.y), views.domains) == (["label"], ["shop"])
    assert list(bouba.read(table).modalities) == ["caption"]
    with pytest.raises(ModalityError, match="the model has photo, caption, the table title"):
        clip.read({"title": ["a", "b"]})
    assert list(clip.read(table, label="caption", text=["caption"]).y) == ["caption (label)"]


def test_numbers_and_patterns_keep_their_names_and_order(tmp_path):
    random = np.random.default_rng(0)
    names = [f"left_{i}" for i in range(3)] + [f"right_{i}" for i in range(2)]
    numbers = dict(zip(names, random.normal(size=(5, 40))))
    run = Run.fit(numbers, method="cca", out=tmp_path / "cca", read={"vector": ["left_*", "right_*"]}, ridge=0.1)
    assert run.schema.columns == {"left": ("left_0", "left_1", "left_2"), "right": ("right_0", "right_1")}
    turned = run.read({name: numbers[name] for name in reversed(names)})
    assert np.array_equal(np.stack(list(turned["left"])), np.stack([numbers[n] for n in names[:3]], 1).astype("f4"))
    del numbers["left_1"]
    assert list(run.read(numbers).columns) == ["right"]  # one number is lacking: the view is
    one = Run.open(run.path)
    assert one.schema == run.schema


def test_one_pattern_by_itself_is_a_name_and_no_list_of_letters(tmp_path):
    random = np.random.default_rng(0)
    numbers = dict(zip(("v_0", "v_1", "e"), random.normal(size=(3, 40)))) | {"words": ["good", "bad"] * 20}
    run = Run.fit(numbers, out=tmp_path / "run", read={"vector": "v_*", "text": "words"}, **QUICK)
    assert run.recipe["read"] == {"vector": "v_*", "text": "words"}
    (run.path / "run.json").unlink()
    assert Run.open(run.path).schema.columns == {"v": ("v_*",)}


class Own(InfoNCE):
    """A term that bouba does not have."""


@pytest.mark.parametrize("also", [InfoNCE(0.2), 0.5 * InfoNCE() + 2 * bouba.Nested(bouba.NTXent(), (4,))], ids=repr)
def test_terms_among_the_arguments_of_a_method_stand_in_its_recipe(also):
    recipe = tomllib.loads(to_toml(recipe_of(bouba.AdaptedCLIP(also=also))))
    assert build(recipe).also == also


def test_views_and_estimators_go_in_as_they_are(tables, tmp_path):
    views = bouba.read(tables[0])
    towers = {"photo": bouba.ConvNet(size=16, channels=4, augment=None), "caption": NGrams()}
    model = Learner(towers, 0.5 * InfoNCE(0.2), **QUICK)
    run = Run.fit(views, method=model, out=tmp_path / "own")
    assert run.model.get_params() == model.get_params() | {"verbose": False}
    again = Run.fit(views, recipe=run.recipe, out=tmp_path / "again")
    one, two = ((r.path / "model" / "model.safetensors").read_bytes() for r in (run, again))
    assert one == two
    with pytest.raises(UsageError, match=r"a recipe names bouba's own .*, and Own is yours"):
        Run.fit(views, method=bouba.AdaptedCLIP(also=Own()), target="shop", out=tmp_path / "no")
    with pytest.raises(UsageError, match="LinearBaseline is no method"):
        Run.fit(views, method=bouba.align.LinearBaseline(), out=tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_numbers_are_a_cell_of_the_view_of_their_width_and_else_an_embedding(tmp_path):
    random = np.random.default_rng(0)
    latent = random.normal(size=(60, 3))
    numbers = {"a": latent + 0.1 * random.normal(size=(60, 3)), "b": latent @ random.normal(size=(3, 4))}
    run = Run.fit(numbers, method="cca", n_components=3, ridge=0.1, out=tmp_path / "run")
    assert run.schema.widths == Run.open(run.path).schema.widths == {"a": 3, "b": 4}
    for view in ("a", "b"):  # as wide as the embedding, or the second view of vectors
        row = numbers[view][5]
        assert run.search(row, k=3) == run.search({view: row}, k=3)
    z = run.model.embed(run.read({"b": numbers["b"]}))["b"][5]
    assert run.search({"a": numbers["a"][5]}, k=3) == run.search(numbers["a"][5], k=3)
    assert z.shape == (3,)


def test_a_space_of_one_number_has_a_map_too(tmp_path):
    latent = np.random.default_rng(0).normal(size=(60, 1))
    run = Run.fit({"a": latent, "b": np.hstack([latent, latent])}, dim=1, epochs=1, holdout=0.4, out=tmp_path / "run")
    assert "Where each a lies" in run.report().read_text()


def test_a_run_is_found_from_anywhere_and_so_are_its_hits(clip, tables, tmp_path, monkeypatch):
    monkeypatch.chdir(clip.path.parent)
    run = Run.open(clip.path.name)
    monkeypatch.chdir(tmp_path)
    (hit,) = run.search("a red circle", k=1)
    assert Path(hit.path).is_absolute()
    assert Path(hit.path).exists()


def test_bare_resume_takes_the_settings_of_the_run_that_was_cut_off(tables, tmp_path, monkeypatch):
    from bouba.train import loop

    real = loop.save_checkpoint

    def crash(folder, **state):
        real(folder, **state)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", crash)
    with pytest.raises(KeyboardInterrupt):
        Run.fit(tables[0], out=tmp_path / "run", epochs=3, dim=4, random_state=7)
    monkeypatch.setattr(loop, "save_checkpoint", real)
    run = Run.fit(tables[0], out=tmp_path / "run", resume=True)
    assert (run.model.epochs, run.model.dim, run.model.random_state, len(run.history)) == (3, 4, 7, 3)


def test_words_that_look_like_a_file_are_words_with_a_hint(clip, caplog):
    clip.search("thing00.png", k=1)
    assert "is read as words; for the file itself give pathlib.Path('thing00.png')" in caplog.text
    for nothing in (None, "", "  "):
        with pytest.raises(UsageError, match="say what to look for"):
            clip.search(nothing)


def test_a_notebook_shows_a_run(clip):
    html = clip._repr_html_()
    assert html.count("<table") == html.count("</table>") >= 2
    assert "CLIP (clip)" in html
    assert "recall@10" in html


def test_a_report_on_another_table(clip, tables, tmp_path):
    page = clip.report(tables[0], out=tmp_path / "page.html")
    assert page.stat().st_size > 10_000
    with pytest.raises(UsageError, match="out=FILE"):
        clip.report(tables[0])


def test_the_table_of_methods_holds_together(capsys):
    classes = [method.cls for method in METHODS.values()]
    assert len(set(classes)) == len(classes)
    for method in METHODS.values():
        assert method.use_when
        assert method.sentence.endswith(".")
        assert method.translates == issubclass(method.cls, bouba.transfer.translator.Translator)
    rows = printed(capsys, "methods")
    assert [row["name"] for row in rows] == list(METHODS)
    assert next(row for row in rows if row["name"] == ADAPTED_CLIP.name)["needs"] == "two views, a target domain"


def test_the_list_in_the_recipes_is_the_table_of_methods(capsys):
    before, sys.argv = sys.argv, ["bouba", "methods", "--markdown"]
    try:
        with pytest.raises(SystemExit):
            main()
    finally:
        sys.argv = before
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    assert f"<!-- bouba methods --markdown -->\n{capsys.readouterr().out}" in page


def test_an_early_run_is_read_by_its_recipe_and_model(tmp_path, tables):
    """Format 1 had no run.json: columns are matched by the names of views and of the recipe."""
    run = Run.fit(tables[1], out=tmp_path / "run", read={"text": "words", "ignore": "price"}, **QUICK)
    (run.path / "run.json").unlink()
    early = Run.open(run.path)
    assert run.schema.columns == early.schema.columns == {"numbers": ("a", "b")}
    one, two = (each.read(tables[1]) for each in (run, early))
    assert one.modalities == two.modalities
    assert np.array_equal(np.stack(list(one["numbers"])), np.stack(list(two["numbers"])))


def test_a_later_format_is_refused(clip, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{}")
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(DataError, match="is a run of format 99"):
        Run.open(tmp_path).facts  # noqa: B018
