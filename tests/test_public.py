"""What a stranger meets first: the names, and how fast they come."""

import os
import subprocess
import sys

import numpy as np
import pytest

import bouba


def run(*arguments: str, folder=None) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def worked() -> float:
    """CPU-seconds of the processes that were run and have ended."""
    spent = os.times()
    return spent.children_user + spent.children_system


def test_importing_bouba_imports_no_torch():
    heavy = "import sys, bouba; print(sorted({'torch', 'sklearn', 'pandas', 'datasets', 'lancedb'} & set(sys.modules)))"
    assert run("-c", heavy).strip() == "[]"


def test_every_public_name_is_there():
    for name in bouba.__all__:
        assert getattr(bouba, name) is not None
    assert set(bouba.__all__) <= set(dir(bouba))


def test_the_public_surface():
    """A name more or less is a decision, not an accident."""
    assert sorted(bouba.__all__) == [
        "ASIF", "AdaptedCLIP", "Adversarial", "AttentionFusion", "BYOL", "BarlowTwins", "CCA", "CLIP", "CORAL",
        "CORALAligner", "CRNN", "CentroidLabels", "ConcatFusion", "ConditionalGAN", "ConvNet", "Correlation", "DANN",
        "DINO", "DeepCCA", "DeepCORAL", "Distil", "DistilSimilarities", "DomainAdversarial", "ELBO", "Entropy",
        "ExplicitNegatives", "FewPairs", "FlowMatching", "FlowTranslator", "Frames", "FuseMix", "FusionClassifier",
        "FusionRegressor", "GatedFusion", "HeadAdapter", "InfoNCE", "JDA", "JointOT", "KernelCCA", "LSTM", "Learner",
        "LowRankFusion", "MAE", "MLP", "MMD", "MMDAdapter", "MaskedView", "MatrixFreeCCA", "MinimumClassConfusion",
        "MultimodalAutoencoder", "MultimodalVAE", "MultitaskLearner", "NGrams", "NTXent", "NearestTranslator", "Nested",
        "Onnx", "PLS", "Packaged", "Pooled", "Prediction", "Pretrained", "ProbabilisticCCA", "Procrustes",
        "PseudoPairs", "Reconstruction", "Regression", "RegressionTranslator", "ResNet", "RidgeMap", "RobustInfoNCE",
        "Run", "SameAs", "SelfTraining", "Several", "SigmoidPairs", "SimCLR", "SimSiam", "SparseCCA", "StackedFusion",
        "Structure", "SubspaceAligner", "SumFusion", "SupervisedContrastive", "TCA", "Tabular", "TowerOf", "Trained",
        "Transformer", "TransportAligner", "TransportPlans", "Triplet", "VGG", "VICReg", "Views", "WordVectors",
        "ZeroShotClassifier", "__version__", "diagnose", "duplicates", "evaluate", "explain", "explain_match",
        "fine_tune", "impute", "linear_probe", "load", "match_saliency", "pair_score", "read", "saliency", "samples",
        "soup", "source_free", "split", "taught", "tune",
    ]  # fmt: skip


def test_help_answers_at_once():
    """In half a second of the processor's time; the best of three, because machines are shared."""
    spent = []
    for _ in range(3):
        started = worked()
        printed = run("-c", "import sys; sys.argv = ['bouba', '--help']; from bouba.cli import main; main()")
        spent.append(worked() - started)
    assert "demo" in printed
    assert "search" in printed
    assert 0 < min(spent) < 0.5


def test_help_imports_nothing_heavy():
    code = """
import sys
sys.argv = ["bouba", "--help"]
from bouba.cli import main
try:
    main()
except SystemExit:
    print(sorted({"torch", "sklearn", "numpy", "pandas"} & set(sys.modules)))
"""
    assert run("-c", code).strip().endswith("[]")


WITHOUT_TORCH = """
import sys
import numpy as np
import bouba
from bouba.align import LinearBaseline
random = np.random.default_rng(0)
x = random.normal(size=(60, 4))
blocks = {{"left": x, "right": x @ random.normal(size=(4, 3))}}
{}
assert "torch" not in sys.modules, "torch was imported"
"""


@pytest.mark.parametrize(
    "code",
    [
        "bouba.CCA(2).fit(blocks).transform(blocks)",
        "bouba.CCA(2).fit(blocks).predict({'left': x})",
        "bouba.KernelCCA(2).fit(blocks).transform(blocks)",
        "bouba.MatrixFreeCCA(2, max_iter=5, tol=9).fit(blocks).transform(blocks)",
        "LinearBaseline(2).fit(blocks).embed(blocks)",
        "bouba.CCA(2).fit(bouba.read('things.csv')).text_view('a word')",
        "bouba.evaluate(bouba.CCA(2).fit(blocks), bouba.Views(blocks))",
        "bouba.CCA(2).fit(blocks).save('model'); bouba.load('model').transform(blocks)",
    ],
)
def test_what_is_solved_needs_no_torch(code, tmp_path):
    (tmp_path / "things.csv").write_text(
        "caption,width,height\n" + "".join(f"thing {'abc'[i % 3]} {i},{i},{i * i}\n" for i in range(40))
    )
    run("-c", WITHOUT_TORCH.format(code), folder=tmp_path)


def test_a_loaded_model_does_not_load_what_trains(tmp_path):
    views = bouba.Views({"a": ["red", "blue", "green"] * 8, "b": np.eye(24)}, kinds={"a": "text"})
    bouba.CLIP(epochs=1, dim=4).fit(views).save(tmp_path / "model")
    code = "import sys, bouba; bouba.load('model').embed(bouba.Views({'a': ['red']}, kinds={'a': 'text'}))\n"
    unused = "{'accelerate', 'transformers', 'onnxruntime', 'torch._dynamo', 'sympy', 'tokenizers', 'PIL'}"
    assert run("-c", f"{code}print(sorted({unused} & set(sys.modules)))", folder=tmp_path).strip() == "[]"


def test_a_function_with_the_name_of_its_file_is_the_function():
    code = "import bouba.terms.mmd; from bouba.terms import mmd; from bouba import terms; print(mmd is terms.mmd, mmd)"
    assert run("-c", code).startswith("True <function mmd")


def test_every_room_lists_its_names():
    for name in ("adapt", "align", "evaluation", "fuse", "metrics", "report", "runs", "search", "terms", "towers"):
        room = getattr(bouba, name)
        assert room.__all__
        assert {public for public in room.__all__ if getattr(room, public) is not None} <= set(dir(room))
    with pytest.raises(AttributeError, match=r"module 'bouba.align' has no attribute 'CAC'"):
        _ = bouba.align.CAC


def test_a_name_of_before_leads_to_that_of_today_and_says_so(tmp_path, monkeypatch):
    room = tmp_path / "someroom"
    room.mkdir()
    (room / "parts.py").write_text("class New:\n    pass\n")
    (room / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\nfrom bouba.lazy import attach\nif TYPE_CHECKING:\n"
        "    from someroom.parts import New as New\nelse:\n    __all__ = attach(__name__, renamed={'Old': 'New'})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import someroom

    with pytest.warns(DeprecationWarning, match=r"someroom\.Old is now someroom\.New; the old name goes") as told:
        assert someroom.Old is someroom.New
    assert told[0].filename == __file__
    assert someroom.__all__ == ["New"]
    assert "Old" not in dir(someroom)
