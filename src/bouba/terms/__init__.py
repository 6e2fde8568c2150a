"""Terms: each maps a Batch to a scalar; an objective is their weighted sum."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.terms.barlow_twins import BarlowTwins as BarlowTwins
    from bouba.terms.barlow_twins import barlow_twins as barlow_twins
    from bouba.terms.byol import BYOL as BYOL
    from bouba.terms.centroid_labels import CentroidLabels as CentroidLabels
    from bouba.terms.centroid_labels import centroid_labels as centroid_labels
    from bouba.terms.conditional_gan import Adversarial as Adversarial
    from bouba.terms.conditional_gan import conditional_gan as conditional_gan
    from bouba.terms.coral import CORAL as CORAL
    from bouba.terms.coral import coral as coral
    from bouba.terms.correlation import Correlation as Correlation
    from bouba.terms.correlation import correlation as correlation
    from bouba.terms.dino import DINO as DINO
    from bouba.terms.dino import dino as dino
    from bouba.terms.distil import Distil as Distil
    from bouba.terms.distil import DistilSimilarities as DistilSimilarities
    from bouba.terms.distil import distil as distil
    from bouba.terms.distil import distil_similarities as distil_similarities
    from bouba.terms.domain_adversarial import DomainAdversarial as DomainAdversarial
    from bouba.terms.domain_adversarial import domain_adversarial as domain_adversarial
    from bouba.terms.elbo import ELBO as ELBO
    from bouba.terms.elbo import elbo as elbo
    from bouba.terms.entropy import Entropy as Entropy
    from bouba.terms.entropy import entropy as entropy
    from bouba.terms.explicit_negatives import ExplicitNegatives as ExplicitNegatives
    from bouba.terms.explicit_negatives import explicit_negatives as explicit_negatives
    from bouba.terms.flow import FlowMatching as FlowMatching
    from bouba.terms.flow import flow_matching as flow_matching
    from bouba.terms.fuse_mix import FuseMix as FuseMix
    from bouba.terms.fuse_mix import fuse_mix as fuse_mix
    from bouba.terms.info_nce import InfoNCE as InfoNCE
    from bouba.terms.info_nce import info_nce as info_nce
    from bouba.terms.joint_ot import JointOT as JointOT
    from bouba.terms.joint_ot import joint_ot as joint_ot
    from bouba.terms.mae import MAE as MAE
    from bouba.terms.mae import masked_reconstruction as masked_reconstruction
    from bouba.terms.masked_view import MaskedView as MaskedView
    from bouba.terms.minimum_class_confusion import MinimumClassConfusion as MinimumClassConfusion
    from bouba.terms.minimum_class_confusion import minimum_class_confusion as minimum_class_confusion
    from bouba.terms.mmd import MMD as MMD
    from bouba.terms.mmd import mmd as mmd
    from bouba.terms.nested import Nested as Nested
    from bouba.terms.nt_xent import NTXent as NTXent
    from bouba.terms.nt_xent import nt_xent as nt_xent
    from bouba.terms.prediction import Prediction as Prediction
    from bouba.terms.pseudo_pairs import PseudoPairs as PseudoPairs
    from bouba.terms.pseudo_pairs import pseudo_pairs as pseudo_pairs
    from bouba.terms.reconstruction import Reconstruction as Reconstruction
    from bouba.terms.reconstruction import reconstruction as reconstruction
    from bouba.terms.regression import Regression as Regression
    from bouba.terms.robust_info_nce import RobustInfoNCE as RobustInfoNCE
    from bouba.terms.robust_info_nce import robust_info_nce as robust_info_nce
    from bouba.terms.self_training import SelfTraining as SelfTraining
    from bouba.terms.self_training import self_training as self_training
    from bouba.terms.sigmoid_pairs import SigmoidPairs as SigmoidPairs
    from bouba.terms.sigmoid_pairs import sigmoid_pairs as sigmoid_pairs
    from bouba.terms.sim_siam import SimSiam as SimSiam
    from bouba.terms.sim_siam import predicted_cosine as predicted_cosine
    from bouba.terms.sim_siam import sim_siam as sim_siam
    from bouba.terms.structure import Structure as Structure
    from bouba.terms.structure import structure as structure
    from bouba.terms.supervised_contrastive import SupervisedContrastive as SupervisedContrastive
    from bouba.terms.supervised_contrastive import supervised_contrastive as supervised_contrastive
    from bouba.terms.term import Needs as Needs
    from bouba.terms.term import Objective as Objective
    from bouba.terms.term import Parts as Parts
    from bouba.terms.term import Space as Space
    from bouba.terms.term import Term as Term
    from bouba.terms.transport_plans import TransportPlans as TransportPlans
    from bouba.terms.transport_plans import transport_plans as transport_plans
    from bouba.terms.triplet import Triplet as Triplet
    from bouba.terms.triplet import triplet as triplet
    from bouba.terms.vicreg import VICReg as VICReg
    from bouba.terms.vicreg import vicreg as vicreg
else:
    __all__ = attach(__name__)
