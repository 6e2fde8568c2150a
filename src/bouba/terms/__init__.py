"""Terms: each maps a Batch to a scalar; an objective is their weighted sum."""

from bouba.terms.domain_adversarial import DomainAdversarial as DomainAdversarial
from bouba.terms.domain_adversarial import domain_adversarial as domain_adversarial
from bouba.terms.info_nce import InfoNCE as InfoNCE
from bouba.terms.info_nce import info_nce as info_nce
from bouba.terms.term import Objective as Objective
from bouba.terms.term import Parts as Parts
from bouba.terms.term import Space as Space
from bouba.terms.term import Term as Term
