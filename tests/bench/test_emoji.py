"""The demo's protocol leaks nothing, and its records and tables have the promised form."""

import numpy as np
import pytest
from typer.testing import CliRunner

from bouba import ConvNet
from bouba.bench import emoji as bench
from bouba.bench import emoji_methods as ways
from bouba.bench import emoji_protocol as emoji
from bouba.cli.bench import group
from bouba.data.target import hide
from bouba.errors import UsageError
from bouba.evaluation import Result


@pytest.fixture(scope="module")
def protocol():
    return emoji.cut(0)


def test_no_target_drawing_of_a_or_h_is_in_training(protocol):
    shown = protocol.training[protocol.training.domain == emoji.TARGET]
    judged = [protocol.known, protocol.new, *protocol.choosing.values()]
    assert not set(shown.key) & {key for rows in judged for key in rows.key}
    assert not set(protocol.training.key) & (set(protocol.new.key) | set(protocol.choosing["new"].key)), (
        "H is never seen"
    )
    captioned = set(protocol.known.key) | set(protocol.choosing["known"].key)
    assert captioned == set(protocol.source.key), "A is captioned in the source styles"
    assert emoji.TARGET not in protocol.source.domains


def test_no_variant_of_a_new_concept_is_in_training(protocol):
    """man and woman construction worker, and all that is called or drawn alike, stand on one side."""
    assert not set(protocol.training.group) & set(protocol.new.group)
    names = [set(str(name).lower().split()) for name in set(protocol.training.meta["name_en"])]
    for name in protocol.new.meta["name_en"]:
        words = set(str(name).lower().split())
        assert max(len(words & other) / len(words | other) for other in names) <= 0.5, name


def test_what_settings_are_chosen_on_is_never_reported():
    chosen, reported = set(), set()
    for seed in range(3):
        protocol = emoji.cut(seed)
        chosen |= {key for rows in protocol.choosing.values() for key in rows.key}
        reported |= set(protocol.known.key) | set(protocol.new.key)
        assert all(len(rows) > 30 for rows in protocol.choosing.values())
    assert not chosen & reported


def test_the_door_hides_what_the_protocol_promises(protocol):
    seen, is_target = hide(protocol.training, emoji.TARGET)
    assert is_target.sum() == (protocol.training.domain == emoji.TARGET).sum()
    for name in ("en", "zh"):
        assert not seen.present[name][is_target].any()
    assert all(k is None for k in seen.key[is_target])
    assert all(g is None for g in seen.group[is_target])
    assert all(g is None for g in seen.y["group"][is_target])


def test_shares_of_the_concepts(protocol):
    known, new = (len(set(rows.group)) for rows in (protocol.known, protocol.new))
    known += len(set(protocol.choosing["known"].group))
    new += len(set(protocol.choosing["new"].group))
    all_of_them = len(set(protocol.views.group))
    assert (known, new) == (round(0.5 * all_of_them), all_of_them - round(0.8 * all_of_them))
    assert set(emoji.cut(1).new.key) != set(protocol.new.key), "other seeds cut otherwise"


@pytest.mark.slow
def test_adaptation_beats_plain_clip_on_the_unseen_style(protocol):
    """One seed: the order of the two, not the size of the gap (`bouba bench emoji` measures that)."""
    found = {}
    for name in (ways.CLIP, ways.ADAPTED_CLIP):
        result = bench.measured(name, name, 0, emoji.TARGET, False, epochs=20)
        found[name] = result.value(metric="recall@10", split="known").value
    assert found[ways.ADAPTED_CLIP] > found[ways.CLIP] + 1


@pytest.fixture
def small(monkeypatch):
    """A twentieth of the rows, and a small tower."""
    whole = emoji.cut

    def part(seed, target):
        p = whole(seed, target=target)
        choosing = {name: rows[::3] for name, rows in p.choosing.items()}
        return emoji.Protocol(p.views, p.source[::40], p.training[::40], p.known[::20], p.new[::10], choosing)

    monkeypatch.setattr(emoji, "cut", part)
    monkeypatch.setattr(ways, "ALL", {name: _small(way) for name, way in ways.ALL.items() if not way.frozen})


def _small(way):
    if not isinstance(way, ways.Trained):
        return way
    return ways.Trained(way.objective, way.weight, way.weights, ConvNet(16, channels=4, crop=True), epochs=1)


def test_a_run_is_continued_not_repeated(small, tmp_path, monkeypatch):
    args = [
        "emoji",
        "--style",
        "twemoji",
        "--method",
        "CLIP",
        "--method",
        "CLIP + CDAN",
        "-o",
        str(tmp_path / "r.json"),
    ]
    app = group_of("emoji", monkeypatch)
    first = CliRunner().invoke(app, [*args, "--seeds", "1"], catch_exceptions=False)
    assert "CLIP + CDAN" in first.stdout
    monkeypatch.setattr(ways, "fit", None)  # nothing is trained again
    assert CliRunner().invoke(app, [*args, "--seeds", "1"], catch_exceptions=False).stdout == first.stdout


def test_settings_are_tried_on_the_concepts_for_choosing(small, tmp_path, monkeypatch):
    app = group_of("emoji", monkeypatch)
    page = CliRunner().invoke(app, ["emoji", "--choose", "--seeds", "1", "--method", "mix"], catch_exceptions=False)
    for weight in ways.ALL["mix"].weights:
        assert f"mix: 1 epochs, weight {weight}" in page.stdout


def group_of(bench_name, monkeypatch):
    monkeypatch.setattr("sys.argv", ["bouba", "bench", bench_name])
    return group()


def test_refusals_name_what_there_is(monkeypatch):
    with pytest.raises(UsageError, match="no 'CLIP \\+ DAN'; did you mean 'CLIP \\+ DANN'"):
        bench._named(["CLIP + DAN"], ways.ALL)


def test_gain_is_paired_by_seed_and_bold_is_sure():
    values = {ways.CLIP: [40.0, 50.0, 60.0], ways.ADAPTED_CLIP: [50.0, 61.0, 69.0], ways.LINEAR_CCA: [9.0, 8.0, 7.0]}
    records = [
        bench._record(method, "noto", seed, measure, split, value + 0.1 * seed, 1.0, 100)
        for method, runs in values.items()
        for seed, value in enumerate(runs)
        for measure, split in (*bench.MEASURES, bench.DOMAIN_ACCURACY)
    ]
    tables = bench.tables(Result(records))
    line = next(line for line in tables["all"].lines if line[:2] == ["noto", ways.ADAPTED_CLIP])
    assert line[7].startswith("10.0 [7.5, 12.5], +20%, p = ")
    short = tables["short"].lines[0]
    assert [cell.startswith("**") for cell in short] == [False, False, False, False, True, False]
    assert short[-1] == "10.0 [7.5, 12.5]"
    worse = [r for r in records if (r.method, r.seed) != (ways.ADAPTED_CLIP, 0)]
    worse.append(bench._record(ways.ADAPTED_CLIP, "noto", 0, "recall@10", "known", 12.0, 1.0, 100))
    assert not any(cell.startswith("**") for cell in bench.tables(Result(worse))["short"].lines[0]), "one seed says no"


def test_linear_cca_is_measured_whole(small):
    result = bench.measured(ways.LINEAR_CCA, ways.LINEAR_CCA, 0, emoji.TARGET, False)
    assert {(r.metric, r.split) for r in result} == {*bench.MEASURES, bench.DOMAIN_ACCURACY}
    assert all(0 <= r.value <= 100 and np.isfinite(r.chance) for r in result)
    known = result.value(metric="recall@10", split="known")
    assert known.n == len(emoji.cut(0, target=emoji.TARGET).known)
    assert known.value > known.chance
