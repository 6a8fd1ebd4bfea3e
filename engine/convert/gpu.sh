#!/usr/bin/env bash
# Trains the default model on one GPU: recall, attention, answer, packaging, evaluation, in about 28 minutes.
#
#   DATA=folder GGUF=base.gguf bash engine/convert/gpu.sh
#
# Run it again to go on where it stopped: every stage keeps a checkpoint in WORK. LIMIT is how many minutes this call
# may take (default 30). GGUF may also lie there as base.gguf.part-* pieces, which are joined first. What to keep is
# written to OUT in pieces of at most 15 MB. TINY=1 tries every stage in a minute on a small model and a CPU.
set -uo pipefail
cd "$(dirname "$0")/../.."

: "${DATA:?folder of the training files}" "${GGUF:?base weights}"
OUT=${OUT:-out} WORK=${WORK:-/tmp/engram-work} LIMIT=${LIMIT:-30} TINY=${TINY:-}
PYTHON=${PYTHON:-python3}
began=$SECONDS
mkdir -p "$OUT" "$WORK"

if [ -n "$TINY" ]; then
    device=cpu attention="--steps 2 --length 64 --segment 32 --eager" answer="--steps 2 --batch-tokens 100 --rank 2 --first-layer 0 --eager"
    recall="--passages 8 --epochs 1" evaluate="--questions 2 --places 1024" sets="squad"
else
    device=cuda attention="--steps 400 --length 16384" answer="--steps 3000 --batch-tokens 16384 --rank 32 --first-layer 2"
    recall="--passages 16000" evaluate="--questions 40 --places 2048 8192 32768 131072" sets="squad physics cuad"
fi

minutes_left() { echo $((LIMIT - (SECONDS - began) / 60 - 1)); }

# stage NAME MINUTES ARGUMENTS...: skipped once done, stopped in time, never ends the others.
stage() {
    local name=$1 minutes=$2 left
    shift 2
    left=$(minutes_left)
    if [ -e "$WORK/$name.done" ]; then echo "== $name: done before"; return; fi
    if [ "$left" -le 0 ]; then echo "== $name: no time left in this call, run again"; return; fi
    if [ "$minutes" -gt "$left" ]; then minutes=$left; fi
    echo "== $name: at most $minutes min"
    if timeout $((minutes * 60 + 90)) "$PYTHON" -m engine.convert "$@"; then
        touch "$WORK/$name.done"
    else
        echo "== $name: FAILED with $?"
    fi
}

[ -e "$GGUF" ] || cat "$GGUF".part-* >"$GGUF"
base="$WORK/base" merged="$WORK/merged"
stage prepare 2 prepare --gguf "$GGUF" --out "$base" --spike-k ${SPIKE_K:-3 3 1.75}
stage recall 4 recall --model "$base" --data "$DATA" --work "$WORK" --out "$WORK/recall.safetensors" $recall
stage attention 7 attention --model "$base" --data "$DATA" --work "$WORK" --device "$device" --minutes 6 $attention
stage answer 13 answer --model "$base" --data "$DATA" --work "$WORK" --device "$device" --minutes 12 $answer
stage package 1 package "$WORK"/{recall,attention}.safetensors "$WORK/answer.checkpoint.safetensors" \
    --model "$base" --out "$WORK/adapter.safetensors"
if [ ! -e "$merged" ] && [ -e "$WORK/adapter.safetensors" ]; then
    "$PYTHON" -m engine.prepare --gguf "$GGUF" --out "$merged" --adapter "$WORK/adapter.safetensors"
fi
stage evaluate-base 3 evaluate --model "$base" --name base --data "$DATA" --out "$WORK/evaluate.jsonl" --sets $sets $evaluate
stage evaluate-trained 3 evaluate --model "$merged" --name trained --data "$DATA" --out "$WORK/evaluate.jsonl" --sets $sets $evaluate

rm -f "$OUT"/adapter.safetensors.part-*
[ -e "$WORK/adapter.safetensors" ] && split -b 15M "$WORK/adapter.safetensors" "$OUT/adapter.safetensors.part-"
cp -f "$WORK"/*.jsonl "$OUT"/ 2>/dev/null
echo "== $((SECONDS - began)) s; done: $(cd "$WORK" && ls -- *.done 2>/dev/null | tr '\n' ' ')"
