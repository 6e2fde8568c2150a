"""The demo's protocol leaks nothing, and its records have the promised form."""

import json

import numpy as np
import pytest
from scipy.special import stdtr

from bouba import ConvNet, NGrams
from bouba.bench import emoji_protocol as emoji
from bouba.bench.emoji import HEADLINE, headline
from bouba.data.target import hide
from bouba.errors import UsageError
from bouba.evaluation import Result, seeds_interval


@pytest.fixture(scope="module")
def protocol():
    return emoji.cut(0)


def test_no_target_drawing_of_a_or_h_is_in_training(protocol):
    shown = protocol.training[protocol.training.domain == emoji.TARGET]
    assert not set(shown.key) & (set(protocol.known.key) | set(protocol.new.key))
    assert not set(protocol.training.key) & set(protocol.new.key), "H is never seen in any style"
    assert set(protocol.known.key) == set(protocol.source.key), "A is captioned in the source styles"
    assert emoji.TARGET not in protocol.source.domains


def test_the_door_hides_what_the_protocol_promises(protocol):
    seen, is_target = hide(protocol.training, emoji.TARGET)
    assert is_target.sum() == (protocol.training.domain == emoji.TARGET).sum()
    for name in ("en", "zh"):
        assert not seen.present[name][is_target].any()
    assert all(k is None for k in seen.key[is_target])
    assert all(g is None for g in seen.y["group"][is_target])


def test_shares_of_the_concepts(protocol):
    sizes = {name: len(getattr(protocol, name)) for name in ("known", "new")}
    assert sizes == {"known": 797, "new": 319}
    assert len(protocol.source) == 3 * 797


def test_other_seeds_cut_otherwise(protocol):
    assert set(emoji.cut(1).new.key) != set(protocol.new.key)


def test_records_of_the_baseline_have_the_promised_form(protocol, tmp_path):
    small = emoji.Protocol(
        protocol.views, protocol.source[:300], protocol.training, protocol.known[:80], protocol.new[:80]
    )
    model = emoji.fit(emoji.LINEAR_CCA_NAME, small, 0)
    result = emoji.judge(emoji.LINEAR_CCA_NAME, model, small, 0)
    result.to_json(tmp_path / "metrics.json")
    records = json.loads((tmp_path / "metrics.json").read_text())
    keys = {"method", "split", "domain", "direction", "metric", "value", "low", "high", "chance", "n"}
    assert all(keys <= set(r) for r in records)
    assert {r["split"] for r in records} == {"known", "new"}
    assert {r["domain"] for r in records} == {"openmoji"}
    assert {"en->image", "zh->image", "image->en", "image->zh"} <= {r["direction"] for r in records}
    for split, metric in HEADLINE:
        assert 0 <= headline(result, emoji.LINEAR_CCA_NAME, 0, split, metric) <= 1


@pytest.mark.slow
def test_adaptation_beats_plain_clip_on_the_unseen_style():
    """Small towers, one seed: the order of the two, not the size of the gap (`bouba bench emoji` measures that)."""
    protocol = emoji.cut(0)
    towers = {"image": ConvNet(size=32, channels=16, crop=True), "en": NGrams(), "zh": NGrams()}
    found = {}
    for method in (emoji.CLIP_NAME, emoji.ADAPTED_CLIP_NAME):
        model = emoji.fit(method, protocol, 0, epochs=20, towers=towers)
        result = emoji.judge(method, model, protocol, 0)
        found[method] = headline(result, method, 0, "known", "recall@10")
    assert found[emoji.ADAPTED_CLIP_NAME] > found[emoji.CLIP_NAME] + 0.01
    assert np.isfinite(list(found.values())).all()


def test_every_style_and_method_is_continued_not_repeated(tmp_path, monkeypatch):
    from bouba.bench import emoji_styles

    whole = emoji.cut
    monkeypatch.setattr(emoji, "cut", lambda seed, target: _part(whole(seed, target=target)))
    said = {"epochs": 1, "styles": ["twemoji"], "out": tmp_path / "records.json", "image": ConvNet(16, channels=4)}
    page = emoji_styles.run(seeds=1, methods=["clip", "cdan"], **said)
    assert [line.split()[0] for line in page.splitlines()[:3]] == ["twemoji,", "clip", "cdan"]
    monkeypatch.setattr(emoji_styles, "fit", None)  # nothing is trained again
    assert emoji_styles.run(seeds=1, methods=["clip", "cdan"], **said) == page
    with pytest.raises(UsageError, match="no 'dan'; did you mean 'dann'"):
        emoji_styles.run(seeds=1, methods=["dan"], epochs=1)


def test_gain_is_paired_by_seed():
    from bouba.bench import emoji_styles

    values = {"clip": [40.0, 50.0, 60.0], "dann": [50.0, 61.0, 69.0]}
    records = [
        emoji_styles._record(method, "noto", seed, "recall@10", "known", value)
        for method, runs in values.items()
        for seed, value in enumerate(runs)
    ]
    line = emoji_styles._gain(Result(records), "noto", "dann", 3)
    mean, low, high = seeds_interval([10, 11, 9])
    p = 2 * stdtr(2, -10 / (1 / 3**0.5))  # t = mean / (s / sqrt(n)), s = 1
    assert line == f"{mean:.1f} [{low:.1f}, {high:.1f}], +20%, p = {p:.1g}"
    one_short = [record for record in records if (record.method, record.seed) != ("dann", 0)]
    assert emoji_styles._gain(Result(one_short), "noto", "dann", 3).startswith("10.0 ["), "seeds that both have"


def _part(protocol):
    return emoji.Protocol(
        protocol.views,
        protocol.source[::40],
        protocol.training[::40],
        protocol.known[::40],
        protocol.new[::20],
    )


def test_refusal_runs_of_other_epochs_are_not_continued(tmp_path):
    from bouba.bench import emoji_styles

    Result([], {"epochs": 2}).to_json(tmp_path / "styles.json")
    with pytest.raises(UsageError, match="holds runs of 2 epochs, not 3"):
        emoji_styles.run(seeds=1, epochs=3, out=tmp_path / "styles.json")
