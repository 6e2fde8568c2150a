"""What a run gives to others: files for programs without bouba, a comparison, a model card, a place on the hub."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba.runs.kept import Kept

if TYPE_CHECKING:
    from bouba.report.comparison import Comparison
    from bouba.runs.exporting import ExportedRows
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

    def export_embeddings(self, out: str | os.PathLike[str], *, overwrite: bool = False) -> ExportedRows:
        """Write the index as one Parquet file for other programs, block by block: `row`, `id` where rows have one, the
        columns, `path_VIEW` of files, `x` and `y` of `map`, and `vector_VIEW`, a list of float32 of one length, null
        where a row lacks the view. A column that is called so already becomes column_NAME.

        Args:
            out: NAME.parquet. overwrite: replace it.

        Raises:
            UsageError: no index, `out` exists, or another ending.
        """
        from bouba.runs.exporting import export_parquet

        return export_parquet(self, Path(out), overwrite=overwrite)

    def export_numpy(
        self, folder: str | os.PathLike[str], *, missing: str = "nan", overwrite: bool = False
    ) -> ExportedRows:
        """Write the index as arrays: VIEW.npy (rows, dim) float32 of each view, rows.csv with a line for each of their
        rows, as in `export_embeddings`, and about.json.

        Args:
            folder: a new one. missing: "nan" or "zeros", what stands where a row lacks the view. overwrite: replace it.

        Raises:
            UsageError: no index, or the folder holds something.
        """
        from bouba.runs.exporting import export_arrays

        return export_arrays(self, Path(folder), missing=missing, overwrite=overwrite)

    def open_atlas(
        self,
        out: str | os.PathLike[str] | None = None,
        *,
        overwrite: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Show the rows on their map by Apple's embedding-atlas, until it is ended.

        Args:
            out: keep the Parquet file that it reads, see `export_embeddings`; one that goes when it ends, if None.
            overwrite: replace `out`. say: takes a sentence when it is opened.

        Raises:
            UsageError: embedding-atlas is not installed. StorageError: it ended with an error.
        """
        from bouba.runs.exporting import open_atlas

        open_atlas(self, None if out is None else Path(out), overwrite=overwrite, say=say)

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
