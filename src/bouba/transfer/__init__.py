"""Transfer: from one modality to another, and from one task to the next."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.transfer.flow import FlowTranslator as FlowTranslator
    from bouba.transfer.gan import ConditionalGAN as ConditionalGAN
    from bouba.transfer.imputation import impute as impute
    from bouba.transfer.nearest import NearestTranslator as NearestTranslator
    from bouba.transfer.probe import fine_tune as fine_tune
    from bouba.transfer.probe import linear_probe as linear_probe
    from bouba.transfer.regression import RegressionTranslator as RegressionTranslator
    from bouba.transfer.trained import Trained as Trained
    from bouba.transfer.translator import Translator as Translator
else:
    __all__ = attach(__name__)
