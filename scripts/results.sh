#!/usr/bin/env bash
# Runs the shipped experiments and refreshes their reports under results/: a few minutes on two cores.
# An experiment with profiles is named with one of them: scripts/results.sh glue_rank:laptop
# Finished cells in runs/ are kept; remove runs/ first to measure everything anew, on an idle machine.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release
[ $# -gt 0 ] || set -- quickstart rank layers dataset_size
for asked in "$@"; do
  experiment=${asked%%:*}
  run="runs/$experiment"
  choice=()
  if [ "$asked" != "$experiment" ]; then
    run="$run-${asked#*:}"
    choice=(--profile "${asked#*:}")
  fi
  ./target/release/infbench run "experiments/$experiment.yaml" "${choice[@]}"
  # the results of laptop and full are an experiment's own; other profiles stand beside one another
  target="results/$experiment"
  case "$asked" in
    "$experiment" | *:laptop | *:full) ;;
    *) target="${target}_${asked#*:}" ;;
  esac
  rm -rf "$target"
  mkdir -p "$target"
  ./target/release/infbench report "$run" --out "$target" --quiet
  rm -f "$target"/figures/*.svg # the page has them inline; the PNGs are for README
  cp "$run/results.jsonl" "$run/results.csv" "$target/"
done
