#!/usr/bin/env bash
# Everything that is measured on a GPU, in under nine minutes: kernels against references and peers, reading,
# decoding, first tokens. Needs python3 with torch, triton, numpy, safetensors, tokenizers and psutil
# ($PYTHON names another one); flash-linear-attention is compared with if it is installed. Results are JSON
# lines in $OUT/gpu.jsonl (default: tests/bench/results). A step that fails or runs out of time is named at the
# end and does not stop the others. `--tiny` is a dry run on the processor.
set -uo pipefail
cd "$(dirname "$0")/../.."

python=${PYTHON:-python3}
out=${OUT:-tests/bench/results}
arguments=(--out "$out")
if [ "${1:-}" = --tiny ]; then
    arguments+=(--tiny)
    export TRITON_INTERPRET=1
fi
export PYTHONUNBUFFERED=1

failed=()

step() {
    local name=$1 limit=$2 began=$SECONDS code=0
    shift 2
    echo "== $name"
    timeout "$limit" "$python" "$@" "${arguments[@]}" || code=$?
    [ "$code" -eq 124 ] && echo "== $name: out of time after $limit s"
    [ "$code" -eq 0 ] || failed+=("$name")
    echo "== $name: exit code $code after $((SECONDS - began)) s"
}

step kernels 200 tests/bench/kernels_gpu.py
step "default model" 100 tests/bench/gpu_reading.py small
step "SpikingBrain-7B shape" 120 tests/bench/gpu_reading.py large
step "first token" 110 tests/bench/gpu_reading.py first_token

echo "== all steps: $SECONDS s, results in $out/gpu.jsonl"
if [ "${#failed[@]}" -gt 0 ]; then
    echo "== FAILED: ${failed[*]}"
    exit 1
fi
