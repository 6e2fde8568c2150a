"""What a run gives to others: files for programs without bouba, a comparison, a model card, a place on the hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bouba.runs.kept import Kept

if TYPE_CHECKING:
    from bouba.runs.onnx_export import ExportedRun


class Publishing(Kept):
    """The methods of Run that give it to others."""

    def export_onnx(self, folder: str | os.PathLike[str]) -> ExportedRun:
        """Write each tower as ONNX into a new folder (extra `onnx`): NAME.onnx takes the cells of a view and gives its
        embeddings, fusion.onnx the fused vector and predictions; export.json tells how cells become inputs, and
        README.md holds a program that runs. What cannot be exported is left out, with the reason in `left_out`.

        Raises:
            UsageError: the folder holds something, or nothing can be exported. MissingExtraError: no ONNX.
        """
        from bouba.runs.onnx_export import export_onnx

        return export_onnx(self, Path(folder))
