"""Model soups: the definition, what the greedy one promises, what a soup of strangers is worth, runs, refusals."""

import json

import numpy as np
import pytest
import torch

import bouba
from bouba import CCA, CLIP, MLP, FusionClassifier, Run, Views
from bouba.errors import UsageError
from bouba.runs.soups import write_soup


def noisy(n, seed):
    """A class from six of 30 numbers, a third of the labels drawn at random."""
    random = np.random.default_rng(seed)
    code = random.integers(0, 3, n)
    x = random.normal(size=(n, 30))
    x[:, :6] += 1.5 * np.eye(3, 6)[code]
    wrong = random.random(n) < 0.33
    label = np.array(["ant", "bee", "cat"], object)[np.where(wrong, random.integers(0, 3, n), code)]
    return Views({"numbers": x}, y={"kind": label})


def fitted(lr, seed=0, views=None, **options):
    towers = {"numbers": MLP((32,))}
    options = {"epochs": 6, "dim": 16, "batch_size": 40, "random_state": seed, **options}
    return FusionClassifier(towers, lr=lr, **options).fit(noisy(160, 0) if views is None else views)


@pytest.fixture(scope="module")
def models():
    return [fitted(lr) for lr in (1e-3, 3e-3, 1e-2)]


def test_uniform_is_the_mean_of_every_weight(models, tmp_path):
    soup = bouba.soup(models)
    assert (soup.chosen, soup.scores, soup.score) == ((0, 1, 2), (), None)
    for name, value in soup.model.module_.state_dict().items():
        mean = torch.stack([model.module_.state_dict()[name].double() for model in models]).mean(0)
        torch.testing.assert_close(value, mean.to(value.dtype))
    views = noisy(50, 3)
    soup.model.save(tmp_path / "soup")
    again = bouba.load(tmp_path / "soup")
    assert np.array_equal(again.predict_proba(views), soup.model.predict_proba(views))
    assert models[0].history_


def test_greedy_is_recipe_1_and_never_worse_than_the_best(models):
    validation = noisy(200, 1)
    before = [model.module_.state_dict()["towers.parts.0.projection.layers.1.weight"].clone() for model in models]
    soup = bouba.soup(models, validation)
    assert soup.scores == tuple(model.score(validation) for model in models)
    order = sorted(range(3), key=lambda place: -soup.scores[place])
    chosen, best = [order[0]], soup.scores[order[0]]
    for place in order[1:]:
        score = bouba.soup([models[i] for i in (*chosen, place)]).model.score(validation)
        if score >= best:
            chosen, best = [*chosen, place], score
    assert (list(soup.chosen), soup.score) == (chosen, best)
    assert soup.model.score(validation) == best
    assert best >= max(soup.scores)
    after = [model.module_.state_dict()["towers.parts.0.projection.layers.1.weight"] for model in models]
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))


def test_recovery_a_soup_of_kin_holds_and_one_of_strangers_does_not(caplog):
    views, new = noisy(160, 0), noisy(1000, 2)
    kin = [fitted(lr, views=views) for lr in (2e-3, 4e-3, 8e-3)]
    strangers = [fitted(4e-3, seed, views) for seed in (0, 1, 2)]
    alone = np.mean([model.score(new) for model in (*kin, *strangers)])
    assert bouba.soup(kin).model.score(new) > alone
    assert not caplog.records
    mixed = bouba.soup(strangers)
    assert mixed.model.score(new) < alone - 0.02
    assert "began with other weights" in caplog.text


def table(path, views):
    names = [f"n{i}" for i in range(30)]
    rows = [[*(f"{v:.4f}" for v in views["numbers"][i]), views.y["kind"][i]] for i in range(len(views))]
    path.write_text("\n".join(",".join(cells) for cells in [[*names, "kind"], *rows]), encoding="utf-8")
    return path


def test_of_runs_and_by_the_command(tmp_path):
    from typer.testing import CliRunner

    from bouba.cli import _app

    training, validation = table(tmp_path / "a.csv", noisy(160, 0)), table(tmp_path / "b.csv", noisy(100, 1))
    read = {"vector": [f"n{i}" for i in range(30)], "label": "kind"}
    options = {"method": "classifier", "read": read, "epochs": 3, "dim": 8, "baseline": False, "towers": "scratch"}
    for name, lr in (("one", 2e-3), ("two", 5e-3)):
        Run.fit(training, out=tmp_path / name, lr=lr, allow_duplicates=True, **options)
    paths = [str(tmp_path / name) for name in ("one", "two")]
    arguments = ["soup", *paths, "--on", str(validation), "-o", str(tmp_path / "soup"), "--json"]
    result = CliRunner().invoke(_app("soup"), arguments)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["score"] >= max(facts["scores"].values())
    run = Run.open(tmp_path / "soup")
    assert run.facts["soup"]["of"] == facts["chosen"]
    judged = run.read(validation)
    assert run.model.score(judged) == facts["score"]
    assert len(run.predict(validation)) == 100
    again = bouba.soup([paths[0], Run.open(paths[1])])
    assert again.chosen == (0, 1)
    opened = [Run.open(path) for path in paths]
    with pytest.raises(UsageError, match="is one of the runs; choose another -o"):
        write_soup(opened, validation, tmp_path / "one", named={}, say=lambda line: None)


def test_refusals(models):
    views = noisy(80, 5)
    with pytest.raises(UsageError, match="two models or more, got 1"):
        bouba.soup(models[:1])
    pair = Views({"a": np.eye(9), "b": np.eye(9)[::-1].copy()})
    clip, cca = CLIP(epochs=1).fit(pair), CCA(2, ridge=0.1).fit(pair)
    with pytest.raises(UsageError, match="model 1 is a CCA"):
        bouba.soup([clip, cca])
    with pytest.raises(UsageError, match="of one method, got FusionClassifier and CLIP"):
        bouba.soup([models[0], clip])
    with pytest.raises(UsageError, match="models 0 and 1 differ in labels and domains"):
        bouba.soup([models[0], fitted(1e-3, views=views)])
    with pytest.raises(UsageError, match="models 0 and 1 differ in sizes"):
        bouba.soup([models[0], fitted(1e-3, dim=8)])
