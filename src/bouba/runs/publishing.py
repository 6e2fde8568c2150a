"""What a run gives to others: files for programs without bouba, a comparison, a model card, a place on the hub."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba.runs.kept import Kept

if TYPE_CHECKING:
    from bouba.report.comparison import Comparison
    from bouba.runs.exporting import ExportedRows
    from bouba.runs.hub import Pushed
    from bouba.runs.onnx_export import ExportedRun


class Publishing(Kept):
    """The methods of Run that give it to others."""

    @staticmethod
    def located(path: str | os.PathLike[str]) -> Path:
        """The folder of a run that is named by its path, or fetched from hf://USER/NAME."""
        if not os.fspath(path).startswith("hf:/"):
            return Path(path)
        from bouba.runs.hub import fetched

        return fetched(path)

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

    def card(self, *, license: str | None = None, datasets: Sequence[str] = ()) -> str:
        """A model card in the hub's format, the text of a README.md (extra `hub`).

        Args:
            license: by the hub's short name, "apache-2.0"; none is claimed when None.
            datasets: names on the hub of what it was made of.

        Raises:
            MissingExtraError: huggingface_hub is not installed.
        """
        from bouba.runs.card import card_of

        return card_of(self, license=license, datasets=datasets)

    def push(self, name: str, **options: Any) -> Pushed:
        """Put model, card, numbers and report on the hub in one commit; `Run.open("hf://USER/NAME")` opens it.

        Args:
            name: USER/NAME, made where it is not there.
            **options: private; revision, a branch; index, the search index too, with captions, columns and file paths
                of every row, False unless said; report, False leaves out the page, which shows some rows; license;
                dry_run, nothing is sent; say, takes a sentence on each file and on what it may show.

        Raises:
            UsageError: the hub refuses. StorageError: it cannot be reached. MissingExtraError: no huggingface_hub.
        """
        from bouba.runs.hub import push

        return push(self, name, **options)
