#!/bin/sh
# What a GPU does: tests, speed of training and of the contrastive loss, and a model that goes from one device to the
# other. One JSON file; at most six minutes on a machine with one GPU and 16 cores.
#
#   scripts/check_gpu.sh [--device cuda|cpu] [--quick] [--out gpu.json]
set -u
cd "$(dirname "$0")/.."
DEVICE=cuda QUICK= OUT=gpu.json
while [ $# -gt 0 ]; do
    case "$1" in
        --device) DEVICE=$2; shift 2 ;;
        --quick) QUICK=1; shift ;;
        --out) OUT=$2; shift 2 ;;
        *) echo "usage: scripts/check_gpu.sh [--device cuda|cpu] [--quick] [--out FILE.json]" >&2; exit 2 ;;
    esac
done
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || command -v python3)}
export PYTHONPATH=src OMP_NUM_THREADS="${OMP_NUM_THREADS:-$([ "$(nproc)" -ge 8 ] && echo 4 || echo 1)}"
WORK=$(mktemp -d) && trap 'rm -rf "$WORK"' EXIT

# Files in their order: what most concerns a device first, and no more is begun once the time is up.
TESTS="tests/test_device.py tests/train/test_waiting.py tests/nn tests/terms/test_info_nce.py"
[ -n "$QUICK" ] || TESTS="$TESTS tests/train/test_loop.py tests/train/test_resuming.py tests/test_learner.py
    tests/terms tests/towers tests/test_persist.py tests/fuse tests/adapt tests/transfer"
step() { # NAME SECONDS COMMAND...: what it says goes to a file, how it ended and how long it took to another
    name=$1 limit=$2 began=$(date +%s); shift 2
    timeout "$limit" "$@" > "$WORK/$name.txt" 2>&1
    echo "$? $(($(date +%s) - began))" > "$WORK/$name.end"
    echo "$name: $(cat "$WORK/$name.end") (exit, seconds)" >&2
}
WORKERS=$([ "$(nproc)" -ge 8 ] && echo 6 || echo 1)
# shellcheck disable=SC2086
step tests $([ -n "$QUICK" ] && echo 300 || echo 140) "$PYTHON" -m pytest -q -n "$WORKERS" -p no:cacheprovider \
    --junitxml "$WORK/tests.xml" $TESTS
step device $([ -n "$QUICK" ] && echo 150 || echo 40) "$PYTHON" -m scripts.device_round_trip --device "$DEVICE" --out "$WORK/device.json"
if [ -n "$QUICK" ]; then
    step throughput 200 "$PYTHON" -m bouba bench throughput --device "$DEVICE" --rows 300 --epochs 2 --batch 64 \
        --pictures 0 --large --large-rows 96 --layers 1 --out "$WORK/throughput.json"
    step info_nce 150 "$PYTHON" -m bouba bench info-nce --batch 256 --repeats 1 --out "$WORK/info_nce.json"
else
    step throughput 120 "$PYTHON" -m bouba bench throughput --device "$DEVICE" --pictures 0 --large \
        --out "$WORK/throughput.json"
    step info_nce 40 "$PYTHON" -m bouba bench info-nce --device "$DEVICE" --out "$WORK/info_nce.json"
fi
"$PYTHON" -m scripts.gather_checks "$WORK" --device "$DEVICE" --out "$OUT"
