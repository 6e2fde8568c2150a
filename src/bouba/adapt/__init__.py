"""Adapt: does it still work on the other source?"""

from bouba.adapt.clip_dann import AdaptedCLIP as AdaptedCLIP
from bouba.adapt.coral_aligner import CORALAligner as CORALAligner
from bouba.adapt.subspace_aligner import SubspaceAligner as SubspaceAligner
from bouba.adapt.tca import TCA as TCA
