"""What a piece of work costs a process that does nothing else."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path


def peak_mb(function: str, **arguments) -> float:
    """Highest resident memory, in MB, of a fresh process that calls one function and ends.

    Args:
        function: "module:name"; it must be importable.
        **arguments: its keyword arguments, plain JSON values.
    """
    code = (
        "import sys, json; from bouba.bench.fresh import called_alone; "
        "print(json.dumps(called_alone(*json.loads(sys.argv[1]))))"
    )
    payload = json.dumps([function, arguments])
    out = subprocess.run([sys.executable, "-c", code, payload], capture_output=True, text=True, check=True).stdout
    return float(json.loads(out.splitlines()[-1]))


def called_alone(function: str, arguments: dict) -> float:
    """Call it here; the peak so far in MB."""
    import importlib

    module, _, name = function.partition(":")
    getattr(importlib.import_module(module), name)(**arguments)
    return high_water_mb()


def high_water_mb() -> float:
    """The most memory this process ever held, in MB. Not ru_maxrss where Linux tells better: a child's begins at
    the size its parent had."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024**2 if sys.platform == "darwin" else peak / 1024


def cost_text(figure: float | None) -> str:
    """Seconds, MB or a ratio for a table; "-" where there is none.

    >>> cost_text(1234.5), cost_text(0.5), cost_text(0.00123), cost_text(None)
    ('1,234', '0.50', '0.0012', '-')
    """
    if figure is None:
        return "-"
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.2f}" if figure >= 0.1 else f"{figure:.2g}"
