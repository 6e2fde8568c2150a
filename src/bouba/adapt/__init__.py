"""Adapt: does it still work on the other source?"""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.adapt.adapted_classifier import AdaptedClassifier as AdaptedClassifier
    from bouba.adapt.adapted_clip import AdaptedCLIP as AdaptedCLIP
    from bouba.adapt.coral_aligner import CORALAligner as CORALAligner
    from bouba.adapt.dann import DANN as DANN
    from bouba.adapt.deep_coral import DeepCORAL as DeepCORAL
    from bouba.adapt.diagnostics import Diagnosis as Diagnosis
    from bouba.adapt.diagnostics import diagnose as diagnose
    from bouba.adapt.head_adapter import HeadAdapter as HeadAdapter
    from bouba.adapt.importance import kernel_mean_matching as kernel_mean_matching
    from bouba.adapt.importance import kliep as kliep
    from bouba.adapt.jda import JDA as JDA
    from bouba.adapt.mmd_adapter import MMDAdapter as MMDAdapter
    from bouba.adapt.selection import Ranking as Ranking
    from bouba.adapt.selection import rank as rank
    from bouba.adapt.selection import select as select
    from bouba.adapt.source_free import source_free as source_free
    from bouba.adapt.subspace_aligner import SubspaceAligner as SubspaceAligner
    from bouba.adapt.tca import TCA as TCA
    from bouba.adapt.transport_aligner import TransportAligner as TransportAligner
    from bouba.adapt.transport_aligner import transport_plan as transport_plan
else:
    __all__ = attach(__name__)
