"""Terms: each maps a Batch to a scalar; an objective is their weighted sum."""

from bouba.terms.correlation import Correlation as Correlation
from bouba.terms.correlation import correlation as correlation
from bouba.terms.domain_adversarial import DomainAdversarial as DomainAdversarial
from bouba.terms.domain_adversarial import domain_adversarial as domain_adversarial
from bouba.terms.explicit_negatives import ExplicitNegatives as ExplicitNegatives
from bouba.terms.explicit_negatives import explicit_negatives as explicit_negatives
from bouba.terms.info_nce import InfoNCE as InfoNCE
from bouba.terms.info_nce import info_nce as info_nce
from bouba.terms.nt_xent import NTXent as NTXent
from bouba.terms.nt_xent import nt_xent as nt_xent
from bouba.terms.prediction import Prediction as Prediction
from bouba.terms.reconstruction import Reconstruction as Reconstruction
from bouba.terms.reconstruction import reconstruction as reconstruction
from bouba.terms.sigmoid_pairs import SigmoidPairs as SigmoidPairs
from bouba.terms.sigmoid_pairs import sigmoid_pairs as sigmoid_pairs
from bouba.terms.supervised_contrastive import SupervisedContrastive as SupervisedContrastive
from bouba.terms.supervised_contrastive import supervised_contrastive as supervised_contrastive
from bouba.terms.term import Objective as Objective
from bouba.terms.term import Parts as Parts
from bouba.terms.term import Space as Space
from bouba.terms.term import Term as Term
from bouba.terms.triplet import Triplet as Triplet
from bouba.terms.triplet import triplet as triplet
