"""Sizes nobody should exceed, and the torch that constraints.txt asked for.

python scripts/check_house.py            files <= 400 lines, functions <= 50, torch as pinned
python scripts/check_house.py --torch    only torch
"""

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 50
HOME = Path(__file__).parent.parent


def torch_faults() -> list[str]:
    """Installing anything beside torch must not have swapped it for another build."""
    pinned = re.search(r"^torch==([\d.]+)", (HOME / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned, "constraints.txt pins no torch"
    installed = importlib.metadata.version("torch")
    faults = []
    if installed.split("+")[0] != pinned[1]:
        faults.append(f"torch {installed} is installed, constraints.txt pins {pinned[1]}")
    names = {(dist.metadata["Name"] or "").lower() for dist in importlib.metadata.distributions()}
    for swapper in ("torchvision", "torchaudio", "timm"):
        if swapper in names:
            faults.append(f"{swapper} is installed; it replaces torch by a CUDA build")
    return faults


def size_faults() -> list[str]:
    """Files and functions that have grown a second room inside."""
    faults = []
    for file in sorted(HOME.glob("src/**/*.py")):
        text = file.read_text()
        name = file.relative_to(HOME)
        if text.count("\n") > LINES_OF_A_FILE:
            faults.append(f"{name}: {text.count(chr(10))} lines, at most {LINES_OF_A_FILE}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                lines = node.end_lineno - node.body[0].lineno + 1
                documented = isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
                if documented:
                    lines = node.end_lineno - (node.body[0].end_lineno or 0)
                if lines > LINES_OF_A_FUNCTION:
                    faults.append(f"{name}: {node.name} has {lines} lines, at most {LINES_OF_A_FUNCTION}")
    return faults


def main() -> int:
    faults = torch_faults() + ([] if "--torch" in sys.argv else size_faults())
    sys.stderr.write("".join(f"{fault}\n" for fault in faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
