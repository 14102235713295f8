#!/usr/bin/env bash
# Makes results/ from nothing: runs the experiments and keeps their compressed records, tables and the figures that
# documents show.
#   scripts/results.sh --list              what there is, with a forecast of time and memory
#   scripts/results.sh [NAME...]           all of it, or the folders of results/ that are named
# Resumable: finished cells in runs/ are kept. To measure anew, remove runs/ first and leave the machine alone.
set -euo pipefail
cd "$(dirname "$0")/.."

# folder of results/, experiment, profile
all() {
  cat <<'TABLE'
quickstart quickstart
rank rank
layers layers
dataset_size dataset_size
sentences sentences
hessian hessian
retraining retraining full
retraining_minilm retraining_minilm full
retraining_minilm_damping retraining_minilm damping
decomposition decomposition full
damping damping full
glue_rank glue_rank laptop
glue_detection glue_detection laptop
glue_clean glue_clean laptop
glue_selection glue_selection laptop
glue_init glue_init laptop
glue_layers glue_layers laptop
glue_size glue_size laptop
llama_table2 llama_table2 laptop
llama_cue llama_cue laptop
llama_rank llama_rank laptop
llama_truth llama_truth laptop
styles styles laptop
subjects subjects laptop
diffusion_rank diffusion_rank laptop
diffusion_truth diffusion_truth laptop
frontier_digits frontier digits
frontier_minilm frontier minilm
frontier_spectra frontier spectra
cost_examples cost examples
cost_size cost size
cost_blocks cost blocks
cost_queries cost queries
precision_digits precision digits
theory_synthetic theory_synthetic
theory_gradients theory_gradients
theory_large theory_large
TABLE
}

# item of the paper, its profile, folder of results/
pages() {
  cat <<'TABLE'
figure-1 laptop glue_rank
figure-1 small rank
figure-2 laptop glue_detection
figure-2 small quickstart
figure-5 laptop glue_clean
figure-5 small figure-5-small
figure-6 laptop glue_detection
figure-6 small quickstart
figure-7 laptop glue_selection
figure-7 small retraining
table-1 synthetic theory_synthetic
table-2 laptop llama_table2
table-2 styles styles
table-2 subjects subjects
table-2 small sentences
theorem-1 synthetic theory_synthetic
theorem-1 gradients theory_gradients
TABLE
}

cargo build --release --quiet
infbench=target/release/infbench

# keep RUN TARGET: what is committed of a run
keep() {
  local run=$1 target=results/$2 drawn
  drawn=$(mktemp -d)
  $infbench report "$run" --out "$drawn" --quiet >/dev/null
  rm -rf "$target"
  mkdir -p "$target"
  for file in records.jsonl theory.json; do
    [ ! -f "$run/$file" ] || gzip -9nc "$run/$file" >"$target/$file.gz"
  done
  cp "$drawn"/{tables,theory}.md "$target/" 2>/dev/null || true
  # figures that README, docs or the tables themselves show
  {
    grep -hoE "results/$2/figures/[a-z0-9_]+\.svg" README.md docs/*.md || true
    grep -hoE "\(figures/[a-z0-9_]+\.svg" "$target"/*.md || true
  } | sed 's|.*/||' | sort -u | while read -r figure; do
    mkdir -p "$target/figures"
    cp "$drawn/figures/$figure" "$target/figures/"
  done
  rm -rf "$drawn"
}

asked=" $* "
if [ "${1:-}" = --list ]; then
  all | while read -r target experiment profile; do
    printf '%s: ' "$target"
    case "$experiment" in
      theory_*) echo "infbench theory experiments/$experiment.yaml" ;;
      *) $infbench plan "experiments/$experiment.yaml" ${profile:+--profile "$profile"} 2>&1 | tail -n 1 ;;
    esac
  done
  exit 0
fi
all | while read -r target experiment profile; do
  [ $# -eq 0 ] || [ "${asked/ $target /}" != "$asked" ] || continue
  case "$experiment" in
    theory_*)
      run=runs/$experiment
      [ -f "$run/theory.json" ] || $infbench theory "experiments/$experiment.yaml"
      ;;
    *)
      run=runs/$experiment${profile:+-$profile}
      $infbench run "experiments/$experiment.yaml" ${profile:+--profile "$profile"}
      ;;
  esac
  keep "$run" "$target"
done
pages | while read -r item profile target; do
  [ $# -eq 0 ] || [ "${asked/ $target /}" != "$asked" ] || continue
  if [ "$target" = figure-5-small ]; then
    $infbench reproduce "$item" --profile "$profile"
    keep runs/figure-5-small figure-5-small
  fi
  out=$(mktemp -d)
  $infbench reproduce "$item" --profile "$profile" --from "results/$target" --out "$out" >/dev/null
  mkdir -p results/reproduce/figures
  cp "$out"/*.md results/reproduce/
  cp "$out"/figures/*.svg results/reproduce/figures/ 2>/dev/null || true
  rm -rf "$out"
done
