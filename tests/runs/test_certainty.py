import numpy as np
import pytest
from made import twin_vectors

import bouba
from bouba.data import Views
from bouba.errors import DataError, UsageError
from bouba.search import Certainty, Direction


def signs(n, strength, seed=0):
    """Two views that share some numbers, the more the stronger."""
    random = np.random.default_rng(seed)
    shared = random.normal(size=(n, 8))
    noise = lambda: random.normal(size=(n, 8)) / strength  # noqa: E731
    return Views({"left": shared + noise(), "right": shared @ random.normal(size=(8, 8)) + noise()})


@pytest.fixture(scope="module", params=[4.0, 0.5], ids=["strong", "weak"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    run = bouba.Run.fit(signs(400, request.param), out=folder, method="cca", holdout=0.3)
    run.strong = request.param > 1
    return run


def test_the_set_holds_the_true_partner_as_often_as_promised(run):
    """New questions, none of them seen in training or kept with the run, of which each has its answer in the index."""
    views = signs(400, 4.0 if run.strong else 0.5)
    held_out = [row for row in views.rows.tolist() if row in _held_out_rows(run, views)]
    inside, sizes = [], []
    for row in held_out[:60]:
        hits = run.search({"left": views["left"][row]}, sure=0.9)
        inside.append(row in [hit.row for hit in hits])
        sizes.append(len(hits))
    assert np.mean(inside) >= 0.8
    assert np.median(sizes) < 20 if run.strong else np.median(sizes) > 50


def _held_out_rows(run, views):
    from bouba.data.split import split

    return set(split(views, {"train": 0.7, "test": 0.3})["test"].rows.tolist())


def test_a_strong_model_says_that_nothing_fits_and_a_weak_one_that_it_cannot_tell(run):
    strange = {"left": np.array([9.0, -9, 9, -9, 9, -9, 9, -9])}
    hits = run.search(strange, sure=0.9)
    if run.strong:
        assert not hits
        assert "nothing here fits; that is wrong for" in hits.remarks[0]
        assert run.search(strange, k=3).remarks == hits.remarks
    else:
        assert "too weak to tell" in hits.remarks[0]
        assert "AUROC 0.5" in hits.remarks[0]


def test_hits_carry_their_confidence_which_falls_with_the_score(run):
    hits = run.search({"left": signs(400, 4.0 if run.strong else 0.5)["left"][5]}, k=20)
    values = [hit.confidence for hit in hits]
    assert all(0 <= value <= 1 for value in values)
    assert values == sorted(values, reverse=True)


def test_it_is_kept_to_the_bit_and_stands_in_the_report(run):
    again = bouba.Run.open(run.path)
    assert again.certainty == run.certainty
    assert {(each.question, each.answer) for each in run.certainty.directions} == {
        ("left", "right"),
        ("right", "left"),
        ("left", "whole row"),
        ("right", "whole row"),
    }
    for direction in run.certainty.directions:
        assert 0.85 <= direction.coverage() <= 0.95
        assert direction.too_weak != run.strong
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "What a score is worth" in page
    assert ("too weak to tell" in page) != run.strong


def test_a_run_without_held_out_rows_has_no_confidence_and_refuses_sure(tmp_path):
    run = bouba.Run.fit(twin_vectors(60), out=tmp_path / "run", method="cca", holdout=0)
    assert run.certainty is None
    assert run.search({"left": np.ones(6)}, k=1)[0].confidence is None
    with pytest.raises(UsageError, match="kept no scores of held-out pairs"):
        run.search({"left": np.ones(6)}, sure=0.9)


def test_what_no_held_out_question_was_like_has_no_confidence(run):
    both = {"left": np.ones(8), "right": np.ones(8)}
    assert run.search(both, k=1)[0].confidence is None
    with pytest.raises(UsageError, match="one thing to look for alone"):
        run.search(both, sure=0.9)
    with pytest.raises(UsageError, match="between 0 and 1"):
        run.search({"left": np.ones(8)}, sure=90)


def test_a_direction_counts_what_a_loop_counts():
    random = np.random.default_rng(0)
    rows = []
    for place in range(40):
        scores = random.normal(size=30)
        right = np.arange(30) == place % 30
        scores[right] += 3
        rows.append((scores, right))
    direction = Direction.of("a", "b", rows)
    assert direction.true == tuple(float(scores[right][0]) for scores, right in rows)
    cut = direction.cut(0.9)
    assert direction.in_set == np.median([(scores >= cut).sum() for scores, _ in rows])
    wins = [
        float(a > b) + 0.5 * (a == b)
        for a in [scores.max() for scores, _ in rows]
        for b in [scores[~right].max() for scores, right in rows]
    ]
    assert direction.auroc == pytest.approx(np.mean(wins))


def test_a_damaged_file_is_one_error(tmp_path):
    certainty = Certainty((Direction.of("a", "b", [(np.arange(5.0) + i, np.arange(5) == 4) for i in range(30)]),))
    file = tmp_path / "certainty.json"
    certainty.save(file)
    assert Certainty.load(file) == certainty
    for broken in ("{}", '{"format": 1, "directions": [{"true": 1}]}', "no json"):
        file.write_text(broken)
        with pytest.raises(DataError):
            Certainty.load(file)
