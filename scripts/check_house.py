"""Bars that nobody should exceed, no circles among modules, and the torch that constraints.txt asked for.

python scripts/check_house.py            everything: sizes, circles (by grimp, of import-linter), torch
python scripts/check_house.py --torch    only torch
"""

import ast
import importlib.metadata
import re
import statistics
import sys
from pathlib import Path

LINES_OF_A_FILE = 390
LINES_OF_A_MEDIAN_FILE = 120
LINES_OF_A_COMMAND = 130
LINES_OF_A_MEDIAN_COMMAND = 60
LINES_OF_A_FUNCTION = 50
"""Of its body, without the docstring."""
LINES_OF_A_WHOLE_FUNCTION = 80
"""From the first decorator to the end, without the docstring."""
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
    lines = {file.relative_to(HOME): file.read_text().count("\n") for file in sorted(HOME.glob("src/**/*.py"))}
    commands = {file: count for file, count in lines.items() if file.parent.name == "cli"}
    faults = [f"{file}: {n} lines, at most {LINES_OF_A_FILE}" for file, n in lines.items() if n > LINES_OF_A_FILE]
    faults += [
        f"{file}: {n} lines, at most {LINES_OF_A_COMMAND} in cli"
        for file, n in commands.items()
        if n > LINES_OF_A_COMMAND
    ]
    for name, counts, bar in (
        ("src/bouba", lines, LINES_OF_A_MEDIAN_FILE),
        ("src/bouba/cli", commands, LINES_OF_A_MEDIAN_COMMAND),
    ):
        median = statistics.median(counts.values())
        if median > bar:
            faults.append(f"{name}: the median file has {median:g} lines, at most {bar}")
    return faults + [fault for file in lines for fault in function_faults(file)]


def function_faults(file: Path) -> list[str]:
    """Functions of one file that are too long."""
    faults = []
    for node in ast.walk(ast.parse((HOME / file).read_text())):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        end, first = node.end_lineno or 0, node.body[0]
        documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
        body = end - first.lineno + 1 - docstring
        whole = end - min([node.lineno, *(d.lineno for d in node.decorator_list)]) + 1 - docstring
        if body > LINES_OF_A_FUNCTION:
            faults.append(f"{file}: {node.name} has a body of {body} lines, at most {LINES_OF_A_FUNCTION}")
        if whole > LINES_OF_A_WHOLE_FUNCTION:
            faults.append(f"{file}: {node.name} has {whole} lines, at most {LINES_OF_A_WHOLE_FUNCTION}")
    return faults


def circle_faults() -> list[str]:
    """Modules that import each other, by whatever way round; imports in functions and for types count."""
    import grimp

    graph = grimp.build_graph("bouba", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    reached = {module: _reachable(module, imports) for module in imports}
    circles = {frozenset(m for m in reached[module] if module in reached[m]) for module in imports}
    return [f"these import each other: {', '.join(sorted(circle))}" for circle in sorted(circles, key=sorted) if circle]


def _reachable(module: str, imports: dict[str, set[str]]) -> set[str]:
    """Every module that importing this one may import; itself only where it stands in a circle."""
    reached: set[str] = set()
    waiting = list(imports[module])
    while waiting:
        if (following := waiting.pop()) not in reached:
            reached.add(following)
            waiting += imports[following]
    return reached


def main() -> int:
    faults = torch_faults() + ([] if "--torch" in sys.argv else size_faults() + circle_faults())
    sys.stderr.write("".join(f"{fault}\n" for fault in faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
