#!/usr/bin/env bash
# Whether two builds compute the same results: runs small experiments with both and compares everything outside timings.
#   scripts/same-results.sh BASE_BINARY NEW_BINARY [--tolerance T]
# smoke (gradients and scores kept), two cells of quickstart and of sentences, clusters, every method that needs no
# options, retraining with its decomposition, MiniLM on texts in GLUE's layout, theory, and `score`: some two minutes
# for each binary on two cores. MiniLM needs models/all-MiniLM-L6-v2 (scripts/get-minilm.sh) and is left out without.
# What BASE computed is kept in $SAME_RESULTS (target/same-results), by the hash of its binary and of this script.
# Exit code 0: the same (or within T); 1: something differs, and what; 2: wrong arguments.
set -euo pipefail
[ $# -ge 2 ] && [ -x "$1" ] && [ -x "$2" ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
base=$(realpath "$1")
new=$(realpath "$2")
shift 2
cd "$(dirname "$0")/.."
kept=${SAME_RESULTS:-target/same-results}
work=$kept/inputs # their paths are in the records
rm -rf "$work"
mkdir -p "$work/texts"

cat >"$work/clusters.yaml" <<'YAML'
name: clusters
seed: 0
task: {name: clusters, train: 200, query: 40, flip: 0.2}
model: {name: mlp}
lora: {rank: 2}
train: {epochs: 3}
influence: {methods: [exact, datainf, "lissa:scale=auto,iterations=20"]}
outputs: {report: false, scores: true}
YAML
cat >"$work/methods.yaml" <<'YAML'
name: methods
seed: 0
task: {name: digits, train: 60, query: 10, flip: 0.2}
model: {name: transformer, hidden: 16, heads: 2, layers: 1, ffn: 16, pretrain: {epochs: 1, lr: 2.0e-3, batch_size: 32}}
lora: {targets: [query, value], rank: 1, dropout: 0}
train: {epochs: 3, lr: 1.0e-2, batch_size: 20}
influence: {methods: [exact]}
outputs: {report: false, scores: true, gradients: true}
YAML
cat >"$work/theory.yaml" <<'YAML'
name: theory
seeds: [0, 1]
gradients: {train: 48, query: 6, blocks: 2, dim: 24}
vary: {damping: [0.01, 0.1, 1.0]}
YAML
for split in train:60 validation:12; do
  awk -v n="${split#*:}" 'BEGIN {
    split("The A One No Every", d, " "); split("river senator market engine storm garden", s, " ")
    split("rose fell said broke grew", v, " "); split("sharply twice on Monday in London again", t, " ")
    for (i = 0; i < n; i++) {
      a = d[i % 5 + 1] " " s[i % 6 + 1] " " v[int(i / 2) % 5 + 1] " " t[i % 7 + 1]
      b = d[int(i / 3) % 5 + 1] " " s[(i + i % 2) % 6 + 1] " " v[int(i / 2) % 5 + 1]
      printf "{\"sentence1\": \"%s.\", \"sentence2\": \"%s.\", \"label\": %d}\n", a, b, i % 2 == 0
    }
  }' >"$work/texts/${split%:*}.jsonl"
done

# every name in `list methods` of BASE
methods=$("$base" list methods | grep -oE '^[a-z_0-9]+' | paste -sd, -)

# all BINARY FOLDER: the experiments, one folder each
all() {
  local bin=$1 out=$2
  mkdir -p "$out"
  go() { # go NAME COMMAND ARGUMENTS...
    local name=$1 code=0
    shift
    "$bin" "$@" --quiet --out "$out/$name" >"$out/$name.log" 2>&1 || code=$?
    # 1 is a method that fails where it does not apply: that is in the records, and is compared
    [ "$code" -le 1 ] || { cat "$out/$name.log" >&2; echo "$bin: $name: exit code $code" >&2; exit 1; }
  }
  local plain=(--set outputs.report=false --set outputs.scores=true)
  go smoke run experiments/smoke.yaml "${plain[@]}" --set outputs.gradients=true
  go quickstart run experiments/quickstart.yaml "${plain[@]}" --limit 2
  go sentences run experiments/sentences.yaml "${plain[@]}" --limit 2
  go clusters run "$work/clusters.yaml"
  go methods run "$work/methods.yaml" --set "influence.methods=[$methods]"
  go retraining run experiments/decomposition.yaml --profile quick "${plain[@]}" --set task.train=40 \
    --set task.query=20 --set "ground_truth.leave_one_out={examples: 6, seeds: 2}" \
    --set "ground_truth.subset_retraining={fractions: [0.5], subsets: 8, seeds: 2}"
  if [ -d models/all-MiniLM-L6-v2 ]; then
    go minilm run experiments/glue_rank.yaml --profile laptop "${plain[@]}" --limit 1 --set task.task=mrpc --set sweep.task.task=[mrpc] --set outputs.adapters=true \
      --set "task.path=$work/texts" --set task.train=60 --set task.query=12 --set sweep.lora.rank=[2]
  fi
  go theory theory "$work/theory.yaml"
  local wide=tests/fixtures/wide kron=tests/fixtures/kronfluence
  go wide.safetensors score --train $wide/train.safetensors --query $wide/query.safetensors --method exact \
    --method datainf --method datainf:group_size=8,shuffle=false --method lissa --method hyperinf
  go kron.safetensors score --train $kron/train.safetensors --query $kron/query.safetensors --method kfac \
    --method ekfac --factors $kron/factors.safetensors --blocks per_layer --precision f32
}

id=$(cat "$base" "$0" | sha256sum | cut -c 1-16)
first=$kept/$id
second=$kept/new
if [ ! -f "$first/done" ]; then
  rm -rf "$first"
  echo "computing with $base"
  all "$base" "$first"
  touch "$first/done"
fi
rm -rf "$second"
echo "computing with $new"
all "$new" "$second"

status=0
for a in "$first"/*; do
  name=$(basename "$a")
  case "$name" in *.log | done) continue ;; esac
  code=0
  text=$("$new" compare "$a" "$second/$name" "$@") || code=$?
  [ "$code" -lt 2 ] || exit 2
  printf '%-18s %s\n' "$name" "$(grep -E '^(DIFFERENT|Equal|Same)' <<<"$text")"
  if [ "$code" = 1 ]; then
    status=1
    grep -E '^(Only in|First|Largest)' <<<"$text" | sed 's/^/    /'
  fi
  # what was asked for must not have changed either
  sed -n '/^Settings, A → B/,/^[^ ]/p' <<<"$text" | grep '^  ' | sed 's/^/    settings:/' || true
done
exit $status
