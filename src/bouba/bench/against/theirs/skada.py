"""skada's side."""

import warnings

import numpy as np
from skada import (
    CORALAdapter,
    EntropicOTMappingAdapter,
    LinearOTMappingAdapter,
    OTMappingAdapter,
    SubspaceAlignmentAdapter,
    TransferComponentAnalysisAdapter,
    make_da_pipeline,
)
from skada.metrics import PredictionEntropyScorer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")


def _pipelines():
    """What is chosen among; nothing at all comes first."""
    adapters = [
        None,
        CORALAdapter(),
        SubspaceAlignmentAdapter(n_components=30),
        TransferComponentAnalysisAdapter(n_components=30),
        LinearOTMappingAdapter(),
        OTMappingAdapter(norm="median"),
        EntropicOTMappingAdapter(reg_e=0.02, norm="median"),
        EntropicOTMappingAdapter(reg_e=0.05, norm="median"),
    ]
    classifier = LogisticRegression(C=1.0, max_iter=300)
    return [make_da_pipeline(*([] if adapter is None else [adapter]), classifier) for adapter in adapters]


def _rows(arrays):
    """Both domains, each standardised by itself, rows of length 1 on average."""
    parts = [StandardScaler().fit_transform(arrays[name]) for name in ("x", "x_target")]
    X = np.vstack(parts) / np.sqrt(parts[0].shape[1])
    domain = np.repeat([1, -2], [len(part) for part in parts])
    return X, np.concatenate([arrays["y"], np.full(len(parts[1]), -1)]), domain


def _chosen(arrays):
    X, y, domain = _rows(arrays)
    fitted = [pipeline.fit(X, y, sample_domain=domain) for pipeline in _pipelines()]
    scorer = PredictionEntropyScorer()
    best = max(fitted, key=lambda model: scorer(model, X, y, sample_domain=domain))
    return {"y": best.predict(X[domain < 0], sample_domain=domain[domain < 0])}


def _transported(arrays):
    X, y, domain = _rows(arrays)
    model = _pipelines()[6].fit(X, y, sample_domain=domain)
    return {"y": model.predict(X[domain < 0], sample_domain=domain[domain < 0])}


chosen__mnist_to_usps = chosen__mnist_to_mnist_m = _chosen
transport__mnist_to_usps = transport__mnist_to_mnist_m = _transported
