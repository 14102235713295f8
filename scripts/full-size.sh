#!/usr/bin/env bash
# RoBERTa-large at full size with random weights: LoRA of rank 4 on value in 24 layers, per-example gradients
# of 16 texts of 128 tokens, then their scores. Prints time per example and peak memory.
#
#   scripts/full-size.sh [DEVICE ...]      default: flex
#
# Needs Python with NumPy (python3, or $INFBENCH_PARITY_PYTHON) and 3 GB of disk in $TMPDIR. Texts: RTE's
# training pairs, from $INFBENCH_DATA (data/glue). FEATURES=libtorch builds with that feature; what
# scripts/roberta_large.py takes can be given in SIZE, e.g. SIZE="--layers 2 --hidden 64 --ffn 128".
set -euo pipefail
cd "$(dirname "$0")/.."
python=${INFBENCH_PARITY_PYTHON:-python3}
data=${INFBENCH_DATA:-data/glue}
for name in rte RTE glue_rte; do
  texts=$data/$name/train.jsonl
  [ ! -f "$texts" ] || break
done
[ -f "$texts" ] || { echo "there is no train.jsonl in $data/{rte,RTE,glue_rte}; INFBENCH_DATA names another folder than $data" >&2; exit 2; }
"$python" -c 'import numpy' || { echo "$python lacks NumPy; INFBENCH_PARITY_PYTHON names another" >&2; exit 2; }
[ $# -gt 0 ] || set -- flex
cargo build --release ${FEATURES:+--features "$FEATURES"}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# runs a command; its wall seconds and peak memory in MiB go into $seconds and $memory
measure() {
  if [ -x /usr/bin/time ]; then
    /usr/bin/time -v -o "$folder/time" "$@"
    memory=$(awk '/Maximum resident set size/ {printf "%.0f", $NF / 1024}' "$folder/time")
    seconds=$(awk '/Elapsed \(wall clock\)/ {n = split($NF, t, ":"); s = 0; for (i = 1; i <= n; i++) s = 60 * s + t[i]; print s}' "$folder/time")
  else
    local start=$EPOCHREALTIME
    "$@" &
    local job=$!
    memory=0
    # VmHWM is the largest resident size so far
    while kill -0 "$job" 2>/dev/null; do
      now=$(awk '/VmHWM/ {printf "%.0f", $2 / 1024}' "/proc/$job/status" 2>/dev/null) || now=
      [ -z "$now" ] || memory=$now
      sleep 0.2
    done
    wait "$job"
    seconds=$(awk "BEGIN {print $EPOCHREALTIME - $start}")
  fi
}

"$python" scripts/roberta_large.py "$folder" ${SIZE:-}
# a token is a byte here: pairs that fill 128 tokens
"$python" - "$texts" > "$folder/texts.jsonl" <<'PICK'
import json, sys
picked = [line for line in open(sys.argv[1]) if len("".join(json.loads(line)[f"sentence{i}"] for i in (1, 2))) >= 124]
sys.stdout.writelines(picked[:16])
PICK
size=$(stat -c %s "$folder/model/model.safetensors")
echo "weights: $((size >> 20)) MiB"
echo
echo "| device | gradients, s an example | of that without opening | peak memory MiB | scores s | peak memory MiB |"
echo "|---|---:|---:|---:|---:|---:|"
for device in "$@"; do
  measure "${CARGO_TARGET_DIR:-target}/release/infbench" gradients --quiet --model "$folder/model" --adapter "$folder/adapter" \
    --task rte --examples "$folder/texts.jsonl" --max-length 128 --device "$device" \
    --out "$folder/$device.safetensors"
  row=$("$python" - "$folder/$device.json" "$seconds" <<'FACTS'
import json, sys
facts = json.load(open(sys.argv[1]))
assert set(facts["tokens"]) == {128}, facts["tokens"]
n = facts["examples"]
print(f"{float(sys.argv[2]) / n:.2f} | {facts['seconds'] / n:.2f}")
FACTS
  )
  peak=$memory
  measure "${CARGO_TARGET_DIR:-target}/release/infbench" score --quiet --train "$folder/$device.safetensors" \
    --query "$folder/$device.safetensors" --method exact --method datainf --method hessian_free \
    --out "$folder/$device.scores.safetensors"
  echo "| $device | $row | $peak | $seconds | $memory |"
done
