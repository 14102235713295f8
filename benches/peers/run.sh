#!/usr/bin/env bash
# infbench against PyTorch + PEFT on all-MiniLM-L6-v2, on this machine, in one go: prints the ratios as
# Markdown. About ten minutes a round on two cores; leave the machine alone meanwhile.
#
#   INFBENCH_PARITY_PYTHON=/tmp/parity/bin/python benches/peers/run.sh
#
# INFBENCH_PARITY_PYTHON has the packages of scripts/parity/requirements.txt. With LIBTORCH or
# LIBTORCH_USE_PYTORCH set, and the feature in the build, infbench is measured on libtorch as well.
# ROUNDS (3) rounds take turns, so that a machine that gets slower slows them all; THREADS (2). VARIANTS,
# e.g. autograd:32, are PyTorch's ways at length 64; without it all of variants.py are tried first.
# Folders: INFBENCH_MINILM and INFBENCH_DATA as in benches/minilm.rs. The lines behind the tables are kept
# in runs/peers.jsonl.
set -euo pipefail
python=${INFBENCH_PARITY_PYTHON:?is the Python with the packages of scripts/parity/requirements.txt}
cd "$(dirname "$0")/../.."
rounds=${ROUNDS:-3}
export OMP_NUM_THREADS=${THREADS:-2} RAYON_NUM_THREADS=${THREADS:-2}
unset OPENBLAS_CORETYPE

features=()
devices=(flex)
if [ -n "${LIBTORCH:-}${LIBTORCH_USE_PYTORCH:-}" ] && grep -q '^libtorch *=' Cargo.toml; then
  features=(--features libtorch)
  devices+=(libtorch)
fi
mkdir -p runs
lines=runs/peers.jsonl
: > "$lines"
ours() { cargo bench --quiet "${features[@]}" --bench minilm -- --json "$@" >> "$lines"; }
peer() { "$python" benches/peers/minilm.py --threads "$OMP_NUM_THREADS" "$@" >> "$lines" 2> >(grep -E 'skipped|differ|rror' >&2); }
say() { echo "$(date +%T) $* (load $(cut -d' ' -f1 /proc/loadavg))" >&2; }

cargo bench --quiet "${features[@]}" --bench minilm --no-run
best=${VARIANTS:-}
if [ -z "$best" ]; then
  say "which variant of PyTorch is fastest"
  peer length64 --repeats 1
  best=$("$python" benches/peers/table.py --best "$lines")
  : > "$lines"
fi
for round in $(seq "$rounds"); do
  say "round $round of $rounds: length 64, PyTorch by $best"
  peer gemm length64 --repeats 3 --variants "$best"
  ours peak --repeats 3
  for device in "${devices[@]}"; do ours length64 --repeats 3 --device "$device"; done
  say "round $round of $rounds: MRPC"
  peer single mrpc --repeats 1
  for device in "${devices[@]}"; do ours mrpc --repeats 1 --device "$device"; done
  say "round $round of $rounds: fine-tuning"
  peer epoch --repeats 1
  for device in "${devices[@]}"; do ours epoch --repeats 1 --device "$device"; done
done
say "done"
grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-
"$python" benches/peers/table.py "$lines"
