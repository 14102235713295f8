#!/usr/bin/env bash
# infbench's influence methods against NumPy, PyTorch, dattri, pyDVL and kronfluence on the same gradients, on this
# machine, in one go: prints the ratios as Markdown and fails when scores differ that should agree. Leave the
# machine alone meanwhile.
#
#   INFBENCH_PEERS_PYTHON=/tmp/influence/bin/python benches/peers/influence.sh
#   QUICK=1 INFBENCH_PEERS_PYTHON=… benches/peers/influence.sh        small sizes: whether it all works
#
# INFBENCH_PEERS_PYTHON has the packages of benches/peers/influence/requirements.txt. Sizes: EXAMPLES (2000),
# BLOCKS (24), SIZE (4096), QUERIES (100); SOME (2) blocks for the libraries that are too slow for all; REPEATS (3),
# the best counts; THREADS (2); PEERS (numpy torch dattri pydvl kronfluence). INFBENCH is a binary to measure
# instead of building one. Gradients, scores and lines go to GRADIENTS (runs/peers-influence), 1 GB at full size.
set -euo pipefail
python=${INFBENCH_PEERS_PYTHON:?is the Python with the packages of benches/peers/influence/requirements.txt}
cd "$(dirname "$0")/../.."
if [ -n "${QUICK:-}" ]; then
  examples=${EXAMPLES:-120} blocks=${BLOCKS:-3} size=${SIZE:-192} queries=${QUERIES:-8} some=${SOME:-2} repeats=${REPEATS:-1}
else
  examples=${EXAMPLES:-2000} blocks=${BLOCKS:-24} size=${SIZE:-4096} queries=${QUERIES:-100} some=${SOME:-2} repeats=${REPEATS:-3}
fi
threads=${THREADS:-2}
export OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads MKL_NUM_THREADS=$threads TQDM_DISABLE=1
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
folder=${GRADIENTS:-runs/peers-influence}
mkdir -p "$folder"
rm -f "$folder"/*.jsonl "$folder"/*.safetensors
say() { echo "$(date +%T) $* (load $(cut -d' ' -f1 /proc/loadavg))" >&2; }

infbench=${INFBENCH:-}
if [ -z "$infbench" ]; then
  cargo build --quiet --release --bin infbench
  infbench=${CARGO_TARGET_DIR:-target}/release/infbench
fi
say "gradients: $examples examples, $blocks blocks of $size, $queries queries"
"$python" benches/peers/influence/make.py "$folder" --examples "$examples" --blocks "$blocks" --size "$size" \
  --queries "$queries" --some "$some"

methods=()
while read -r label; do methods+=(--method "$label"); done < <(
  "$python" benches/peers/influence/table.py --labels $("$infbench" list methods | awk '/^[a-z]/ { print $1 }'))
score() { # PRECISION SUFFIX NAME
  "$infbench" --quiet --threads "$threads" score --train "$folder/train$2.safetensors" \
    --query "$folder/query$2.safetensors" "${methods[@]}" --precision "$1" --out "$folder/$3.safetensors"
}
for repeat in $(seq "$repeats"); do
  say "infbench, $repeat of $repeats"
  score f32 "" "ours-f32-$repeat"
done
say "infbench in f64, which the scores are held against"
score f64 "" ours-f64
score f64 -some ours-f64-some
for peer in ${PEERS:-numpy torch dattri pydvl kronfluence}; do
  say "$peer"
  "$python" benches/peers/influence/run.py "$folder" "$peer" --repeats "$repeats" --threads "$threads"
done
say "done"
grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-
"$python" benches/peers/influence/table.py "$folder"
