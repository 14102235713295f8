#!/usr/bin/env bash
# Runs the shipped experiments and refreshes their reports under results/: a few minutes on two cores.
# Finished cells in runs/ are kept; remove runs/ first to measure everything anew, on an idle machine.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release
[ $# -gt 0 ] || set -- quickstart rank layers dataset_size
for experiment in "$@"; do
  ./target/release/infbench run "experiments/$experiment.yaml"
  target="results/$experiment"
  rm -rf "$target"
  mkdir -p "$target"
  ./target/release/infbench report "runs/$experiment" --out "$target" --quiet
  rm -f "$target"/figures/*.svg # the page has them inline; the PNGs are for README
  cp "runs/$experiment/results.jsonl" "runs/$experiment/results.csv" "$target/"
done
