"""What a stranger meets first: the names, and how fast they come."""

import os
import subprocess
import sys

import bouba


def run(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout


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
        "AdaptedCLIP", "Adversarial", "AttentionFusion", "CCA", "CLIP", "CORAL", "CORALAligner", "CRNN",
        "ConcatFusion", "ConditionalGAN", "ConvNet", "Correlation", "DANN", "DeepCCA", "DeepCORAL",
        "DomainAdversarial", "Entropy", "ExplicitNegatives", "FlowMatching", "FlowTranslator", "Frames",
        "FusionClassifier", "FusionRegressor", "GatedFusion", "InfoNCE", "KernelCCA", "LSTM", "Learner",
        "LowRankFusion", "MLP", "MMD", "MMDAdapter", "MatrixFreeCCA", "MultimodalAutoencoder", "MultitaskLearner",
        "NGrams", "NTXent", "NearestTranslator", "Onnx", "Prediction", "Pretrained", "PseudoPairs", "Reconstruction",
        "Regression", "RegressionTranslator", "ResNet", "Run", "SameAs", "SelfTraining", "SigmoidPairs", "SimCLR",
        "SubspaceAligner", "SumFusion", "SupervisedContrastive", "TCA", "Tabular", "Trained", "Transformer", "Triplet",
        "VGG", "Views", "WordVectors", "ZeroShotClassifier", "__version__", "diagnose", "evaluate", "explain",
        "explain_match", "fine_tune", "impute", "linear_probe", "load", "match_saliency", "read", "saliency",
        "samples", "split",
    ]  # fmt: skip


def test_help_answers_at_once():
    """In half a second of the processor's time; the best of three, because machines are shared."""
    spent = []
    for _ in range(3):
        started = worked()
        said = run("-c", "import sys; sys.argv = ['bouba', '--help']; from bouba.cli import main; main()")
        spent.append(worked() - started)
    assert "demo" in said
    assert "search" in said
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
