"""Calibrated probabilities: one temperature, fitted on rows held out."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

RANGE = (-3.0, 3.0)  # of ln T: from a twentieth to twenty


def fit_temperature(log_p: np.ndarray, codes: np.ndarray) -> float:
    """The T > 0 for which softmax(log_p / T) gives held-out classes the largest likelihood.

    Args:
        log_p: (n, C) log probabilities. codes: int (n,), the true class of each row; -1 rows are left out.

    Returns:
        T; above 1 where the model was too sure. 1 where no row has a known class.

    Reference: Guo, Pleiss, Sun and Weinberger 2017, On Calibration of Modern Neural Networks.

    >>> sure = np.log([[0.9, 0.1]] * 10)
    >>> p = np.exp(sure / fit_temperature(sure, np.array([0] * 7 + [1] * 3)))[0]
    >>> round(p[0] / p.sum(), 2)
    0.7
    """
    is_known = codes >= 0
    if not is_known.any():
        return 1.0
    log_p, codes = log_p[is_known].astype(float), codes[is_known]

    def cost(ln_t: float) -> float:
        return -log_softmax(log_p / np.exp(ln_t), axis=1)[np.arange(len(codes)), codes].mean()

    return float(np.exp(minimize_scalar(cost, bounds=RANGE, method="bounded").x))
