"""Towers: encoder + projection, one a view."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.towers.audio import CRNN as CRNN
    from bouba.towers.image import VGG as VGG
    from bouba.towers.image import ConvNet as ConvNet
    from bouba.towers.image import ResNet as ResNet
    from bouba.towers.joined import Joined as Joined
    from bouba.towers.onnx import Onnx as Onnx
    from bouba.towers.packaged import Packaged as Packaged
    from bouba.towers.pooled import Pooled as Pooled
    from bouba.towers.pretrained import Pretrained as Pretrained
    from bouba.towers.spec import EncoderSpec as EncoderSpec
    from bouba.towers.spec import SameAs as SameAs
    from bouba.towers.tabular import Tabular as Tabular
    from bouba.towers.text import LSTM as LSTM
    from bouba.towers.text import NGrams as NGrams
    from bouba.towers.tower import Encoder as Encoder
    from bouba.towers.tower import Tower as Tower
    from bouba.towers.tower_of import TowerOf as TowerOf
    from bouba.towers.transformer import Transformer as Transformer
    from bouba.towers.vector import MLP as MLP
    from bouba.towers.video import Frames as Frames
    from bouba.towers.word_vectors import WordVectors as WordVectors
else:
    __all__ = attach(__name__)
