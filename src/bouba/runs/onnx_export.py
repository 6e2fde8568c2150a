"""A run for programs without bouba: ONNX files, export.json on how their inputs are made, and a README that runs."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.errors import DataError, UsageError, require
from bouba.runs.file_names import file_stem
from bouba.runs.onnx_readme import readme

if TYPE_CHECKING:
    from torch import nn

    from bouba.towers.portable import Port, Portable

FORMAT = "bouba onnx 1"
OPSET = 17
TOLERATED = 1e-4  # of the largest number, by which ONNX and torch may differ
ROWS, LENGTH = 2, 40  # of the example that is traced
OTHER_ROWS, OTHER_LENGTH = 3, 23  # of the one that the files are judged by


@dataclass(frozen=True)
class ExportedRun:
    """What was written.

    Args:
        folder: of the files. views: view -> its file. files: all names, export.json and README.md among them.
        left_out: view or part -> why it is not there, or why a part of its work is left to the reader.
    """

    folder: Path
    views: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def export_onnx(run: Any, folder: Path) -> ExportedRun:
    """Write each tower of a Run, and what it fuses and predicts, into a new folder. Each file is run and compared with
    the model before it counts.

    Raises:
        UsageError: the folder holds something, or nothing of the model can be exported. MissingExtraError: no ONNX.
    """
    for module in ("onnx", "onnxruntime"):
        require(module, "onnx")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    done, model = ExportedRun(folder), run.model
    views = {view: found for view in model.kinds_ if (found := _view(run, done, view)) is not None}
    facts: dict[str, Any] = {
        "format": FORMAT,
        "bouba": version("bouba"),
        "method": run.name,
        "compared_by": model.compared_by,
        "views": views,
        "left_out": done.left_out,
    }
    if (fused := _fused(run, done)) is not None:
        facts["fusion"] = fused
    if not views:
        folder.rmdir()
        reasons = "; ".join(f"{name}: {reason}" for name, reason in done.left_out.items())
        raise UsageError(f"nothing of {run.path} can be exported ({reasons})")
    _write(done, "export.json", json.dumps(facts, ensure_ascii=False, indent=1).encode())
    _write(done, "README.md", readme(run, facts).encode())
    return done


def _view(run: Any, done: ExportedRun, view: str) -> dict[str, Any] | None:
    """What export.json says of a view, whose files are written; None where it cannot be exported."""
    stem = file_stem(view, {Path(file).stem for file in done.views.values()} | {"fusion"})
    try:
        portable = _portable(run.model, view, None)
        described = _graph(done, f"{stem}.onnx", portable.network, portable.inputs, ["embedding"])
        by_domain = {
            domain: f"{stem}.domain{number}.onnx" for number, domain in enumerate(_domains(run.model, view), 1)
        }
        for domain, file in by_domain.items():
            of_domain = _portable(run.model, view, domain)
            _graph(done, file, of_domain.network, of_domain.inputs, ["embedding"])
    except UsageError as error:
        done.left_out[view] = str(error)
        return None
    done.views[view] = f"{stem}.onnx"
    if portable.left_out:
        done.left_out[view] = portable.left_out
    names = {name: f"{stem}.{name}" for name in portable.files}
    for name, content in portable.files.items():
        _write(done, names[name], content)
    more: dict[str, Any] = {"file_of_domain": by_domain} if by_domain else {}
    columns = run.schema.columns.get(view)
    more |= {"columns": list(columns)} if columns else {}
    return {"kind": run.model.kinds_[view], **described, "preparation": _named(portable.preparation, names), **more}


def _portable(model: Any, view: str, domain: str | None) -> Portable:
    """The way of a view into the shared space for other programs; `domain` None is one that is not known."""
    from bouba.align.closed_form import ClosedForm

    if isinstance(model, ClosedForm):
        from bouba.align.graphs import portable_view

        return portable_view(model, view, domain)
    from dataclasses import replace

    from bouba.towers.portable import Steps

    tower = copy.deepcopy(model.module_.towers[view]).cpu().eval()
    if domain is not None:
        tower.statistics.settle(model.codes_.domains.index(domain))
    portable = tower.encoder.portable()
    return replace(portable, network=Steps(portable.network, tower.projection))


def _domains(model: Any, view: str) -> list[str]:
    """The domains whose cells a view is read by in another way than those of none."""
    if hasattr(model, "module_"):
        statistics = model.module_.towers[view].statistics
        return [d for d, measured in zip(model.codes_.domains, statistics.measured.tolist()) if measured and statistics]
    centres = getattr(model, "centres_", {})
    return list(centres[model.sides_[view]].of_domain) if centres else []


def _fused(run: Any, done: ExportedRun) -> dict[str, Any] | None:
    """What export.json says of the fused vector and the predictions, whose file is written; None where there are
    none."""
    model = run.model
    network = getattr(model, "module_", None)
    if network is None or not (model.fuses or network.predicted_labels):
        return None
    from bouba.learner.exported import FusedNetwork
    from bouba.towers.portable import Port

    if getattr(model, "stacks_", {}):
        done.left_out["fusion"] = "stacked predictions are not described for other programs; fit without StackedFusion"
        return None
    views = list(model.kinds_)
    fused = FusedNetwork(copy.deepcopy(network).cpu(), views, model.codes_, getattr(model, "calibration_", {}))
    inputs = {f"z_{place}": Port("float32", (network.towers[view].dim,)) for place, view in enumerate(views)}
    inputs["present"] = Port("bool", (len(views),))
    try:
        described = _graph(done, "fusion.onnx", fused, inputs, fused.outputs)
    except UsageError as error:
        done.left_out["fusion"] = str(error)
        return None
    labels: dict[str, Any] = {}
    for place, label in enumerate(fused.labels):
        is_number = label in model.codes_.numbers
        labels[label] = {"output": f"label_{place}"} | (
            {"gives": "a number in its own unit"}
            if is_number
            else {"gives": "probabilities", "classes": [str(name) for name in model.classes(label)]}
        )
    return {**described, "views": views, "labels": labels}


def _graph(done: ExportedRun, file: str, network: nn.Module, inputs: Mapping[str, Port], outputs: list[str]) -> dict:
    """Write an ONNX file and give what export.json says of it. UsageError where it is not what torch computes."""
    import torch

    network = network.eval()
    axes = {
        name: {0: "rows"} | {1 + i: side for i, side in enumerate(port.shape) if isinstance(side, str)}
        for name, port in inputs.items()
    }
    example = tuple(port.example(ROWS, LENGTH) for port in inputs.values())
    path = done.folder / file
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(
                network,
                example,
                str(path),
                input_names=list(inputs),
                output_names=outputs,
                dynamic_axes=axes | {key: {0: "rows"} for key in outputs},
                opset_version=OPSET,
                dynamo=False,
            )
        _refuse_other_numbers(path, network, inputs)
    except UsageError:
        path.unlink(missing_ok=True)
        raise
    except Exception as error:  # torch and onnxruntime raise classes of their own
        path.unlink(missing_ok=True)
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UsageError(f"torch cannot write it as ONNX ({reason:.120})") from error
    done.files.append(file)
    shapes = {name: {"dtype": port.dtype, "shape": ["rows", *port.shape]} for name, port in inputs.items()}
    return {"file": file, "inputs": shapes, "outputs": outputs}


def _refuse_other_numbers(path: Path, network: nn.Module, inputs: Mapping[str, Port]) -> None:
    """UsageError where onnxruntime and torch differ on other rows, of another length, than were traced."""
    import torch

    from bouba.towers.onnx import session

    example = [port.example(OTHER_ROWS, OTHER_LENGTH) for port in inputs.values()]
    with torch.no_grad():
        expected = network(*example)
    expected = [tensor.numpy() for tensor in (expected if isinstance(expected, tuple) else (expected,))]
    got = session(path.read_bytes(), str(path)).run(None, dict(zip(inputs, (x.numpy() for x in example))))
    for one, other in zip(expected, got, strict=True):
        if one.shape != other.shape or not np.isfinite(one).all():
            raise DataError(f"{path.name} gives {other.shape}, torch {one.shape}, or no finite numbers")
        if np.abs(one - other).max(initial=0) > TOLERATED * max(1.0, float(np.abs(one).max(initial=0))):
            raise DataError(f"{path.name} gives other numbers than torch")


@contextmanager
def _quiet() -> Iterator[None]:
    """What the exporter says of its own future and of lengths it follows anyway is not for a reader; attention runs
    step by step, as it can be traced."""
    import logging

    import torch

    before, log = torch.backends.mha.get_fastpath_enabled(), logging.getLogger("torch.onnx")
    level = log.level
    torch.backends.mha.set_fastpath_enabled(False)
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
        torch.backends.mha.set_fastpath_enabled(before)


def _named(preparation: Any, names: Mapping[str, str]) -> Any:
    """The preparation with the names that its files have in the folder."""
    if isinstance(preparation, dict):
        return {key: value if key == "vocabulary" else _named(value, names) for key, value in preparation.items()}
    return names.get(preparation, preparation) if isinstance(preparation, str) else preparation


def _write(done: ExportedRun, name: str, content: bytes) -> None:
    (done.folder / name).write_bytes(content)
    done.files.append(name)
