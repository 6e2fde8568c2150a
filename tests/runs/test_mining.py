import csv

import numpy as np
import pytest

import bouba
from bouba import CCA, ExplicitNegatives, InfoNCE, Learner, NGrams, Run, SameAs, SimCLR, Views
from bouba.cli import main
from bouba.errors import UsageError

NOUNS = ("apple", "river", "stone", "window", "garden", "letter", "bottle", "circle")
COLOURS = ("red", "green", "blue", "white")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Captions of a noun and a colour, and numbers that say both: the nearest wrong caption shares one of them."""
    folder = tmp_path_factory.mktemp("mining")
    random = np.random.default_rng(0)
    lines = ["x1,x2,x3,x4,x5,caption,key"]
    for row in range(192):
        noun, colour = row % 8, row // 8 % 4
        numbers = [3 * np.cos(noun), 3 * np.sin(noun), noun / 4, np.cos(1.5 * colour), np.sin(1.5 * colour)]
        numbers += 0.02 * random.normal(size=5)
        caption = f"{COLOURS[colour]} {NOUNS[noun]}" + (" again" if row >= 96 else "")
        lines.append(",".join(f"{x:.4f}" for x in numbers) + f",{caption},thing {row % 32}")
    (folder / "table.csv").write_text("\n".join(lines))
    read = {"vector": ["x1", "x2", "x3", "x4", "x5"], "text": "caption", "key": "key"}
    options = {"read": read, "holdout": 0, "allow_duplicates": True, "baseline": False}
    run = Run.fit(folder / "table.csv", out=folder / "run", method=CCA(n_components=5), **options)
    return run, run.read(folder / "table.csv")


def sides(run):
    z = {view: run.index.listing.vectors(np.arange(192), view).astype(float) for view in run.model.kinds_}
    [ask] = [view for view, kind in run.model.kinds_.items() if kind == "vector"]
    return ask, z[ask], z["caption"]


def test_definition_by_a_loop(made):
    run, views = made
    mined = run.mine(k=3, margin=0.1)
    ask, a, b = sides(run)
    assert (mined.ask, mined.answer, mined.columns) == (
        ask,
        "caption",
        ("not caption", "not caption 2", "not caption 3"),
    )
    for row in range(0, 192, 17):
        own = a[row] @ b[row]
        allowed = {
            other: a[row] @ b[other]
            for other in range(192)
            if views.key[other] != views.key[row]
            and a[row] @ b[other] <= own - 0.1 + 1e-6
            and np.abs(b[other] - b[row]).max() > 1e-6
            and np.abs(a[other] - a[row]).max() > 1e-6
        }
        best = sorted(allowed.values(), reverse=True)[:3]
        assert mined.positive[row] == pytest.approx(own, abs=1e-6)
        assert mined.scores[row] == pytest.approx(best, abs=1e-6)
        assert [allowed[int(other)] for other in mined.negatives[row]] == pytest.approx(best, abs=1e-6)


def test_no_negative_shows_the_same_thing_or_is_nearer_than_the_partner(made):
    run, views = made
    for margin in (0.0, 0.3):
        mined = run.mine(k=2, margin=margin)
        for row, negatives, scores, positive in zip(mined.rows, mined.negatives, mined.scores, mined.positive):
            for other, score in zip(negatives, scores):
                if other >= 0:
                    assert views.key[other] != views.key[row]
                    assert score <= positive - margin + 1e-9
    assert len(run.mine(margin=3)) == 0  # cosines differ by 2 at most


def test_recovery_negatives_share_a_word_more_often_than_other_rows(made):
    run, views = made
    mined = run.mine()
    words = [set(str(views["caption"][row]).split()) - {"again"} for row in range(192)]
    shared = np.mean([bool(words[row] & words[other]) for row, other in zip(mined.rows, mined.negatives[:, 0])])
    random = np.random.default_rng(0).permutation(192)
    by_chance = np.mean([bool(words[row] & words[other]) for row, other in zip(range(192), random)])
    assert shared > 0.9 > 0.6 > by_chance


def test_mined_rows_become_views_that_a_term_reads(made):
    run, views = made
    mined = run.mine()
    more = mined.views(views)
    row = int(np.flatnonzero(mined.negatives[:, 0] >= 0)[5])
    assert more["not caption"][row] == views["caption"][int(mined.negatives[row, 0])]
    some = mined.views(views[:20])  # negatives beyond these rows are missing
    assert some["not caption"].present.tolist() == [0 <= n < 20 for n in mined.negatives[:20, 0]]
    towers = {mined.ask: bouba.MLP(), "caption": NGrams(width=16, buckets=500), "not caption": SameAs("caption")}
    term = ExplicitNegatives(mined.ask, "caption", mined.columns)
    objective = InfoNCE(pairs=((mined.ask, "caption"),)) + term
    model = Learner(towers, objective, dim=8, epochs=3, batch_size=48).fit(more)
    assert model.history_[-1]["ExplicitNegatives"] < model.history_[0]["ExplicitNegatives"]


def test_the_command_line_writes_a_table_that_can_be_read(made, tmp_path, monkeypatch, capsys):
    run, views = made
    out = tmp_path / "hard.csv"
    monkeypatch.setattr("sys.argv", ["bouba", "mine", str(run.path), "-k", "2", "-o", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    mined = run.mine(k=2)
    assert f"{len(mined)} of 192 rows have a 'not caption'" in capsys.readouterr().err
    with out.open() as file:
        rows = list(csv.DictReader(file))
    for row in (0, 50, 191):
        for k, name in enumerate(mined.columns):
            negative = int(mined.negatives[row, k])
            assert rows[row][name] == (views["caption"][negative] if negative >= 0 else "")
    again = bouba.read(out, vector=mined.ask, text=["caption", "not caption"], key="key")
    assert np.allclose(np.stack(list(again[mined.ask])), np.stack(list(views[mined.ask])), atol=1e-4)


def test_refusals(made, tmp_path):
    run, views = made
    with pytest.raises(UsageError, match="the index has no view 'photo' of cells; there is"):
        run.mine(ask="photo")
    with pytest.raises(UsageError, match="k is 1 or more and margin 0 or more, got k=0 and margin"):
        run.mine(k=0)
    with pytest.raises(UsageError, match="there is a view 'not caption' already"):
        run.mine().views(run.mine().views(views))
    with pytest.raises(UsageError, match="mining needs two views"):
        run.mine(ask="caption", answer="caption")
    alone = Run.fit(
        Views({"x": np.random.default_rng(0).normal(size=(40, 3))}),
        out=tmp_path / "run",
        method=SimCLR(dim=4, epochs=1),
        holdout=0,
        baseline=False,
    )
    with pytest.raises(UsageError, match="share no space, so that it takes nothing for a row's partner"):
        alone.mine()
