#!/usr/bin/env bash
# Everything that is compared with peers on a processor, in turn, about 20 minutes on two quiet cores:
# transformers (bfloat16) and, where LLAMA_BENCH names the program and LLAMA_GGUF the files, llama.cpp.
#
#     LLAMA_BENCH=BUILD/bin/llama-bench LLAMA_GGUF="Q4_1.gguf Q8_0.gguf" tests/bench/peers.sh HOME/models/default
set -euo pipefail
model=$(realpath "$1")
python=${PYTHON:-python3}
cd "$(dirname "$0")/../.."

if [ -n "${LLAMA_BENCH:-}" ]; then
    # shellcheck disable=SC2086
    "$python" tests/bench/llama_cpp.py --model "$model" --bench "$LLAMA_BENCH" --gguf $LLAMA_GGUF
fi
"$python" tests/bench/reading.py --model "$model" --peer 512 2048 8192 32768
