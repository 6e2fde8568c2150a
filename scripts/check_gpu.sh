#!/usr/bin/env bash
# On a machine with a GPU: the tests that compute on one and what is measured there, in at most six minutes, as one JSON
# file. `scripts/check_gpu.sh gpu.json`; `--device cpu --quick` tries the script itself where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${PYTHON:-python}" -m scripts.check_gpu "$@"
