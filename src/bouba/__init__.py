"""bouba learns how modalities correspond: pictures, words, sounds, clips, numbers.

    model = bouba.CLIP(dim=128).fit(bouba.read("things.csv"))
    model = Learner({"image": ConvNet(), "text": LSTM()}, InfoNCE() + 0.3 * DomainAdversarial())

Importing bouba does no work: every name is imported when it is first used.
"""

import os
from typing import TYPE_CHECKING

from bouba.lazy import attach

# Threads that wait in a loop make training five times slower as soon as something else uses the processor
# (docs/log.md). This only has an effect before torch is imported, and never overrules you.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

if TYPE_CHECKING:
    from bouba import adapt as adapt
    from bouba import align as align
    from bouba import data as data
    from bouba import errors as errors
    from bouba import evaluation as evaluation
    from bouba import fuse as fuse
    from bouba import metrics as metrics
    from bouba import report as report
    from bouba import runs as runs
    from bouba import search as search
    from bouba import terms as terms
    from bouba import towers as towers
    from bouba import transfer as transfer
    from bouba.adapt import DANN as DANN
    from bouba.adapt import JDA as JDA
    from bouba.adapt import TCA as TCA
    from bouba.adapt import AdaptedCLIP as AdaptedCLIP
    from bouba.adapt import CORALAligner as CORALAligner
    from bouba.adapt import DeepCORAL as DeepCORAL
    from bouba.adapt import HeadAdapter as HeadAdapter
    from bouba.adapt import MMDAdapter as MMDAdapter
    from bouba.adapt import SubspaceAligner as SubspaceAligner
    from bouba.adapt import TransportAligner as TransportAligner
    from bouba.adapt import diagnose as diagnose
    from bouba.adapt import source_free as source_free
    from bouba.align import ASIF as ASIF
    from bouba.align import CCA as CCA
    from bouba.align import CLIP as CLIP
    from bouba.align import PLS as PLS
    from bouba.align import DeepCCA as DeepCCA
    from bouba.align import FewPairs as FewPairs
    from bouba.align import KernelCCA as KernelCCA
    from bouba.align import MatrixFreeCCA as MatrixFreeCCA
    from bouba.align import ProbabilisticCCA as ProbabilisticCCA
    from bouba.align import Procrustes as Procrustes
    from bouba.align import RidgeMap as RidgeMap
    from bouba.align import SimCLR as SimCLR
    from bouba.align import SparseCCA as SparseCCA
    from bouba.align import ZeroShotClassifier as ZeroShotClassifier
    from bouba.data import Several as Several
    from bouba.data import Views as Views
    from bouba.data import read as read
    from bouba.data import samples as samples
    from bouba.data import split as split
    from bouba.data.duplicates import duplicates as duplicates
    from bouba.evaluation import evaluate as evaluate
    from bouba.fuse import FusionClassifier as FusionClassifier
    from bouba.fuse import FusionRegressor as FusionRegressor
    from bouba.fuse import MultimodalAutoencoder as MultimodalAutoencoder
    from bouba.fuse import MultimodalVAE as MultimodalVAE
    from bouba.fuse import MultitaskLearner as MultitaskLearner
    from bouba.fuse import explain as explain
    from bouba.fuse import explain_match as explain_match
    from bouba.fuse import match_saliency as match_saliency
    from bouba.fuse import saliency as saliency
    from bouba.learner import Learner as Learner
    from bouba.nn.fusion import AttentionFusion as AttentionFusion
    from bouba.nn.fusion import ConcatFusion as ConcatFusion
    from bouba.nn.fusion import GatedFusion as GatedFusion
    from bouba.nn.fusion import LowRankFusion as LowRankFusion
    from bouba.nn.fusion import StackedFusion as StackedFusion
    from bouba.nn.fusion import SumFusion as SumFusion
    from bouba.persist import load as load
    from bouba.runs import Run as Run
    from bouba.runs import pair_score as pair_score
    from bouba.runs import soup as soup
    from bouba.runs import taught as taught
    from bouba.runs import tune as tune
    from bouba.terms import BYOL as BYOL
    from bouba.terms import CORAL as CORAL
    from bouba.terms import DINO as DINO
    from bouba.terms import ELBO as ELBO
    from bouba.terms import MAE as MAE
    from bouba.terms import MMD as MMD
    from bouba.terms import Adversarial as Adversarial
    from bouba.terms import BarlowTwins as BarlowTwins
    from bouba.terms import CentroidLabels as CentroidLabels
    from bouba.terms import Correlation as Correlation
    from bouba.terms import Distil as Distil
    from bouba.terms import DistilSimilarities as DistilSimilarities
    from bouba.terms import DomainAdversarial as DomainAdversarial
    from bouba.terms import Entropy as Entropy
    from bouba.terms import ExplicitNegatives as ExplicitNegatives
    from bouba.terms import FlowMatching as FlowMatching
    from bouba.terms import FuseMix as FuseMix
    from bouba.terms import InfoNCE as InfoNCE
    from bouba.terms import JointOT as JointOT
    from bouba.terms import MaskedView as MaskedView
    from bouba.terms import MinimumClassConfusion as MinimumClassConfusion
    from bouba.terms import Nested as Nested
    from bouba.terms import NTXent as NTXent
    from bouba.terms import Prediction as Prediction
    from bouba.terms import PseudoPairs as PseudoPairs
    from bouba.terms import Reconstruction as Reconstruction
    from bouba.terms import Regression as Regression
    from bouba.terms import RobustInfoNCE as RobustInfoNCE
    from bouba.terms import SelfTraining as SelfTraining
    from bouba.terms import SigmoidPairs as SigmoidPairs
    from bouba.terms import SimSiam as SimSiam
    from bouba.terms import Structure as Structure
    from bouba.terms import SupervisedContrastive as SupervisedContrastive
    from bouba.terms import TransportPlans as TransportPlans
    from bouba.terms import Triplet as Triplet
    from bouba.terms import VICReg as VICReg
    from bouba.towers import CRNN as CRNN
    from bouba.towers import LSTM as LSTM
    from bouba.towers import MLP as MLP
    from bouba.towers import VGG as VGG
    from bouba.towers import ConvNet as ConvNet
    from bouba.towers import Frames as Frames
    from bouba.towers import NGrams as NGrams
    from bouba.towers import Onnx as Onnx
    from bouba.towers import Packaged as Packaged
    from bouba.towers import Pooled as Pooled
    from bouba.towers import Pretrained as Pretrained
    from bouba.towers import ResNet as ResNet
    from bouba.towers import SameAs as SameAs
    from bouba.towers import Tabular as Tabular
    from bouba.towers import TowerOf as TowerOf
    from bouba.towers import Transformer as Transformer
    from bouba.towers import WordVectors as WordVectors
    from bouba.transfer import ConditionalGAN as ConditionalGAN
    from bouba.transfer import FlowTranslator as FlowTranslator
    from bouba.transfer import NearestTranslator as NearestTranslator
    from bouba.transfer import RegressionTranslator as RegressionTranslator
    from bouba.transfer import Trained as Trained
    from bouba.transfer import fine_tune as fine_tune
    from bouba.transfer import impute as impute
    from bouba.transfer import linear_probe as linear_probe
else:
    __all__ = ["__version__", *attach(__name__)]
