"""Align: which picture belongs to which caption?"""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.align.asif import ASIF as ASIF
    from bouba.align.baseline import LinearBaseline as LinearBaseline
    from bouba.align.cca import CCA as CCA
    from bouba.align.clip import CLIP as CLIP
    from bouba.align.deep_cca import DeepCCA as DeepCCA
    from bouba.align.few_pairs import FewPairs as FewPairs
    from bouba.align.gromov_wasserstein import GromovWasserstein as GromovWasserstein
    from bouba.align.kernel_cca import KernelCCA as KernelCCA
    from bouba.align.matrix_free_cca import MatrixFreeCCA as MatrixFreeCCA
    from bouba.align.moments import Moments as Moments
    from bouba.align.pls import PLS as PLS
    from bouba.align.power import detection_power as detection_power
    from bouba.align.probabilistic_cca import ProbabilisticCCA as ProbabilisticCCA
    from bouba.align.procrustes import Procrustes as Procrustes
    from bouba.align.ridge_map import RidgeMap as RidgeMap
    from bouba.align.significance import bootstrap_correlations as bootstrap_correlations
    from bouba.align.significance import permutation_test as permutation_test
    from bouba.align.simclr import SimCLR as SimCLR
    from bouba.align.sparse_cca import SparseCCA as SparseCCA
    from bouba.align.stability import stability_selection as stability_selection
    from bouba.align.variance import factors as factors
    from bouba.align.variance import loadings as loadings
    from bouba.align.variance import variance_explained as variance_explained
    from bouba.align.zero_shot import ZeroShotClassifier as ZeroShotClassifier
else:
    __all__ = attach(__name__)
