"""Align: which picture belongs to which caption?"""

from bouba.align.baseline import LinearBaseline as LinearBaseline
from bouba.align.cca import CCA as CCA
from bouba.align.clip import CLIP as CLIP
