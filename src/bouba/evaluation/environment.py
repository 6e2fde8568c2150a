"""What a result was computed with: versions, machine, seed and data, to be kept with the numbers."""

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("bouba", "numpy", "scipy", "scikit-learn", "torch")


def environment(seed: int | None, data: str | None = None) -> dict[str, Any]:
    """Versions, platform, date (UTC), seed and fingerprint of the data, ready for JSON; see `evaluation.fingerprint`.

    Versions are read from what is installed without importing it; None where it is not.

    >>> environment(7)["seed"]
    7
    """
    return {
        "seed": seed,
        "data": data,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _installed(name) for name in PACKAGES},
    }


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
