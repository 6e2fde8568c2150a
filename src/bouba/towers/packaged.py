"""Encoders that know words and pictures from the start, installed by pip: `Packaged("multilingual-e5-small")`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bouba.errors import DataError, UsageError, nearest
from bouba.towers.cell_features import CellFeatures, fingerprint_of
from bouba.towers.packaged_texts import TextReader
from bouba.towers.packages import PACKAGES, Package
from bouba.towers.spec import EncoderSpec, Learned

if TYPE_CHECKING:
    from bouba.towers.frozen import Frozen


@dataclass(frozen=True)
class Packaged(EncoderSpec):
    """A frozen encoder whose weights come in a package of their own; see `bouba.towers.packages.PACKAGES`.

        multilingual-e5-small    texts in 100 languages (extra `knows`)
        minilm                   texts in English
        wordllama, glove         English words, a thousand times quicker, blind to their order
        efficientnet-lite0       pictures (extra `knows`); also lite1 and lite2, slower and little better

    Each cell passes the network once, and its features are kept on disk. No network is asked, no pickled code is run,
    and the files are held against the SHA-256 sums of what was released. A saved model names the encoder and does not
    hold its weights; where it is opened the package must be installed.

    Take it wherever rows are few; where they are many and unlike photographs or sentences, a tower from scratch
    (ConvNet, NGrams) learns more, and where the hub can be reached `Pretrained` has larger networks.

    Args:
        name: of the encoder.
        size: of pictures, side in pixels; None chooses by the pictures, between 160 and 224.
        crop: of pictures, cut the white margin away first.
        cache: keep features on disk, in $BOUBA_CACHE or ~/.cache/bouba.

    Raises:
        UsageError: no such encoder. MissingExtraError: on use, its package is not installed, or not for this machine.
        DataError: on use, its files are not those that were released.

    Reference: Wang et al. 2024, Multilingual E5; Reimers & Gurevych 2019, Sentence-BERT; Pennington et al. 2014, GloVe;
    Tan & Le 2019, EfficientNet.
    """

    name: str
    _: KW_ONLY
    size: int | None = None
    crop: bool = True
    cache: bool = True

    def __post_init__(self) -> None:
        if self.name not in PACKAGES:
            raise UsageError(f"no packaged encoder {self.name!r}{nearest(self.name, PACKAGES)}")
        if self.size is not None and not 32 <= self.size <= 1024:
            raise UsageError(f"size lies between 32 and 1024 pixels, got {self.size}")

    @property
    def package(self) -> Package:
        """Its row in the table."""
        return PACKAGES[self.name]

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.package.kind

    def on(self, kind: str) -> Packaged:
        if kind != self.kind:
            raise UsageError(f"Packaged({self.name!r}) reads {self.kind}")
        return self

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        facts: Learned = {"files": dict(self.package.files)}
        if self.kind == "image":
            from bouba.towers.packaged_networks import usual_side

            facts |= {"size": self.size or usual_side(cells, random_state, crop=self.crop), "crop": self.crop}
        facts["moments"] = self._frozen(facts).measured(cells, random_state)
        return facts

    def build(self, learned: Learned) -> Frozen:
        self._refuse_other_weights(learned)
        return self._frozen(learned)

    def features(self, learned: Learned) -> CellFeatures | None:
        if self.kind != "text":
            return None
        self._refuse_other_weights(learned)
        name = partial(fingerprint_of, self._identity(learned))
        return CellFeatures(self.kind, self.package.width, TextReader(self.package), name, cache=self.cache)

    def _refuse_other_weights(self, learned: Learned) -> None:
        if learned["files"] != dict(self.package.files):
            raise DataError(
                f"the model was made with other weights of {self.name} than this bouba knows; fit it again, or "
                "install the bouba that made it"
            )

    def _identity(self, facts: Learned) -> dict[str, Any]:
        """All that features depend on."""
        return {name: fact for name, fact in facts.items() if name != "moments"} | {"name": self.name}

    def _frozen(self, facts: Learned) -> Frozen:
        from bouba.towers.frozen import Frozen
        from bouba.towers.packaged_networks import PackagedPictures, PackagedTexts

        inner = PackagedPictures(self.package, facts) if self.kind == "image" else PackagedTexts(self.package)
        return Frozen(inner, self.kind, self._identity(facts), moments=facts.get("moments"), cache=self.cache)
