"""Confidence, sets and remarks as `bouba search` prints them."""

import json
import re
import sys
from contextlib import suppress

import pytest

import bouba
from bouba.cli import main
from bouba.errors import UsageError


def printed(capsys, *arguments):
    """What a command writes to its two streams."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch, suppress(SystemExit):
        patch.setattr(sys, "argv", ["bouba", *map(str, arguments)])
        main()
    return capsys.readouterr()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    texts = [f"{colour} {shape} {number}" for number in range(8) for colour in ("red", "green") for shape in "abcd"]
    views = bouba.Views({"caption": texts, "twin": texts[::-1]}, kinds={"caption": "text", "twin": "text"})
    return bouba.Run.fit(views, out=tmp_path_factory.mktemp("cli") / "run", method="cca", holdout=0.5, features=20)


def test_hits_show_how_sure_they_are_and_words_that_training_hardly_met(run, capsys):
    out, err = printed(capsys, "search", run.path, "red zyzzyva", "-k", 3)
    lines = out.splitlines()
    header, hit = (re.split("  +", line) for line in lines[:2])
    assert header[:4] == ["row", "title", "score", "sure"]
    assert hit[3].endswith("%")
    assert "training hardly met 'zyzzyva'" in lines[4]
    assert not err


def test_a_set_is_counted_and_cut_for_the_eye_alone(run, capsys):
    out, _ = printed(capsys, "search", run.path, "red a 3", "--sure", 0.9, "-k", 2)
    whole, err = printed(capsys, "search", run.path, "red a 3", "--sure", 0.9, "--json")
    hits = json.loads(whole)
    assert len(hits) > 2
    assert f"{len(hits):,} rows in a set that holds what is meant with probability 0.9; the best 2 are shown" in out
    assert all(0 <= hit["confidence"] <= 1 for hit in hits)
    assert [hit["row"] for hit in hits] == [hit.row for hit in run.search("red a 3", sure=0.9)]
    assert err.strip() == "\n".join(run.search("red a 3", sure=0.9).remarks)


def test_a_picture_among_its_like_has_no_partner_and_so_no_set(tmp_path, things):
    run = bouba.Run.fit(things, out=tmp_path / "run", method="cca", holdout=0.5, features=20)
    picture = things.parent / "thing00.png"
    assert run.search(picture, k=1)[0].confidence is None
    with pytest.raises(UsageError, match="no held-out 'photo' was looked for among 'photo'"):
        run.search(picture, sure=0.9)
    assert run.search(picture, view="caption", k=1)[0].confidence is not None


def test_what_cannot_be_promised_is_one_line(run, capsys):
    assert "needs 999 held-out pairs or more" in printed(capsys, "search", run.path, "red", "--sure", 0.999).err
    assert "between 0 and 1" in printed(capsys, "search", run.path, "red", "--sure", 90).err
    assert "--page FILE shows pairs" in printed(capsys, "inspect", "x.csv", "--page", "y.html").err
