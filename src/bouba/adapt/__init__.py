"""Adapt: does it still work on the other source?"""

from bouba.adapt.clip_dann import AdaptedCLIP as AdaptedCLIP
