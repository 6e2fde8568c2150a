"""Every kernel compiles for the GPUs that train, on a machine without one, and keeps its numbers in registers."""

import importlib.util
import os
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None or os.environ.get("TRITON_INTERPRET") == "1",
        reason="needs Triton, and no TRITON_INTERPRET: make test-kernels",
    ),
]
WHOLE = {"m", "n", "width", "offset", "row_lines", "column_lines"}
CODES = {"row_codes", "column_codes"}
FLOATS = {"near", "lowest", "faintest"}
KERNELS = [
    ("_sums_kernel", {"has_codes": False, "euclidean": False}),
    ("_sums_kernel", {"has_codes": True, "euclidean": True}),
    ("_gradient_kernel", {"has_codes": False, "euclidean": False}),
    ("_gradient_kernel", {"has_codes": True, "euclidean": True}),
    ("_softplus_kernel", {"has_codes": True}),
    ("_gaussians_kernel", {"count": 5}),
    ("_merge_kernel", {"block": 64, "together": 32}),
]


def kind(name, constants):
    if name in constants:
        return "constexpr"
    if name in WHOLE | FLOATS:
        return "i32" if name in WHOLE else "fp32"
    return "*i64" if name in CODES else "*bf16" if name == "out" else "*fp32"


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize(("name", "constants"), KERNELS, ids=[f"{name} {list(c.values())}" for name, c in KERNELS])
def test_compiles(name, constants, capability, tmp_path):
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from bouba.nn import tile_triton

    kernel = getattr(tile_triton, name)
    names = [parameter.name for parameter in kernel.params]
    if "rows" in names:
        constants = constants | {"rows": tile_triton.BLOCK_ROWS, "columns": tile_triton.BLOCK_COLUMNS}
    kinds = {each: kind(each, constants) for each in names}
    aligned = [number for number, each in enumerate(names) if kinds[each][0] == "*" or each in ("m", "n")]
    source = ASTSource(
        kernel,
        kinds,
        {(names.index(each),): value for each, value in constants.items()},
        {(number,): [["tt.divisibility", 16]] for number in aligned},
    )
    warps = tile_triton.WARPS if "rows" in names else 4
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": warps})
    assert made.asm["cubin"]
    (tmp_path / "kernel.ptx").write_text(made.asm["ptx"])
    assembler = next(Path(triton.__file__).parent.glob("backends/nvidia/bin/ptxas*"))
    architecture = "sm_90a" if capability == 90 else "sm_80"
    command = [assembler, "-v", f"-arch={architecture}", tmp_path / "kernel.ptx", "-o", tmp_path / "kernel.cubin"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    spilt = re.findall(r"(\d+) bytes spill", report)
    assert all(int(number) == 0 for number in spilt), report
