"""What a run gives to others: files for programs without bouba, a comparison, a model card, a place on the hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba.runs.kept import Kept

if TYPE_CHECKING:
    from bouba.report.comparison import Comparison
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

    def compare(self, other: Any, table: Any = None, /, **named: Any) -> Comparison:
        """This run and another side by side: their numbers, with the interval of each difference where both were judged
        on the same rows; what was set otherwise; time and size. `.format()` is a table, `.write(FILE)` a page.

        Args:
            other: a Run, or the path of one.
            table, **named: as in `read`, rows that neither was trained on. None: the rows that both held out, where
                that is known, else the numbers of each on its own rows, which are not paired.

        Raises:
            UsageError: nothing that both were judged by; the message says how to go on.
        """
        from bouba.runs.comparing import compare

        other = other if isinstance(other, Publishing) else type(self).open(other, device=self.device)  # type: ignore[attr-defined]
        return compare(self, other, table, named)
