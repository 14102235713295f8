#!/usr/bin/env bash
# Scores gradients that are larger than the memory allowed, and says what that took: wall time, peak memory by kind,
# bytes fetched and bytes that came from the disk.
#
#   scripts/larger-than-memory.sh                  4 GiB of gradients, 512 MiB of memory
#   scripts/larger-than-memory.sh 26624 1024       26 GiB, more than the machine's 24: a quarter of an hour
#
# Arguments: size of the training gradients and the memory that a process may have of its own, MiB; the first is at
# least four times the second. Memory of its own is anonymous memory: everything but files that are mapped, whose pages
# the system takes back whenever it wants. Its peak is watched, and above the limit the script fails; besides,
# RLIMIT_DATA (Linux) makes a larger allocation fail outright. That counts address space, of which the matrix products
# reserve RESERVED MiB a thread (twice the third cache and 64) and touch little, so that it is set higher by as much.
#
# The gradients are synthetic, EXAMPLES (2000) by 4096 a block, written block after block under the same limit. They
# are scored twice: a block a matrix with QUERIES (10) queries, and all as one block (BLOCKS_WHOLE, "datainf
# hessian_free exact:solver=dual", or "" for none) with the mean query. METHODS ("datainf hessian_free
# exact:solver=dual conjugate_gradient") are run one by one.
#
# FOLDER (a new one in $TMPDIR) holds the gradients and loses them at the end; KEEP_GIB (15) of its disk stay free.
# INFBENCH is a binary to use instead of building one.
set -euo pipefail
cd "$(dirname "$0")/.."
size=${1:-4096} cap=${2:-512}
# the allocator would ask for gibibytes ahead, which count against the limit
export MIMALLOC_ARENA_EAGER_COMMIT=0
# twice the third cache, which they take their tiles' sizes from
cache=$(getconf LEVEL3_CACHE_SIZE 2> /dev/null) || cache=0
threads=$(nproc) reserved=${RESERVED:-$((2 * ${cache:-0} / 1048576 + 64))}
examples=${EXAMPLES:-2000} queries=${QUERIES:-10} dim=4096 keep=${KEEP_GIB:-15}
read -ra methods <<< "${METHODS-datainf hessian_free exact:solver=dual conjugate_gradient}"
read -ra whole <<< "${BLOCKS_WHOLE-datainf hessian_free exact:solver=dual}"
[ "$size" -ge $((4 * cap)) ] || { echo "$size MiB are less than four times $cap MiB" >&2; exit 2; }
blocks=$(((size * 1048576 + examples * dim * 4 - 1) / (examples * dim * 4)))
made_folder=
folder=${FOLDER:-}
if [ -z "$folder" ]; then
  folder=$(mktemp -d)
  made_folder=$folder
fi
mkdir -p "$folder"
finish() { rm -rf "$folder/run" "$folder/store.yaml" "$folder/scores.safetensors" $made_folder; }
trap finish EXIT
free=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
if [ $((free - size)) -lt $((1024 * keep)) ]; then
  echo "$folder has $free MiB free: with $size MiB of gradients less than $keep GiB would stay (KEEP_GIB)" >&2
  exit 2
fi
infbench=${INFBENCH:-}
if [ -z "$infbench" ]; then
  cargo build --quiet --release --bin infbench
  infbench=${CARGO_TARGET_DIR:-target}/release/infbench
fi

# A command under the limit. Leaves its seconds, its peak of anonymous and of mapped memory in MiB, what it read from
# the disk in GB, and in $folder/log what it printed.
measure() {
  local start=$EPOCHREALTIME status anon=0 file=0 disk=0 now
  (
    ulimit -d $((1024 * (cap + reserved * (threads + 1))))
    exec "$@"
  ) > "$folder/log" &
  local job=$!
  while kill -0 "$job" 2> /dev/null; do
    now=$(awk '/^RssAnon/ { a = $2 } /^RssFile/ { f = $2 } END { printf "%d %d", a / 1024, f / 1024 }' \
      "/proc/$job/status" 2> /dev/null) || now="0 0"
    [ "${now% *}" -le "$anon" ] || anon=${now% *}
    [ "${now#* }" -le "$file" ] || file=${now#* }
    now=$(awk '/^read_bytes/ { printf "%.2f", $2 / 1e9 }' "/proc/$job/io" 2> /dev/null) || now=
    [ -z "$now" ] || disk=$now
    sleep 0.1
  done
  status=0
  wait "$job" || status=$?
  seconds=$(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }")
  memory="$anon | $file | $disk"
  [ "$status" -eq 0 ] || { cat "$folder/log" >&2; echo "failed with $status: $*" >&2; exit 1; }
  [ "$anon" -le "$cap" ] || { echo "took $anon MiB of its own, $cap allowed: $*" >&2; exit 1; }
}

cat > "$folder/store.yaml" << YAML
name: store
task: {name: gradients, train: $examples, query: $queries, blocks: $blocks, dim: $dim}
influence: {methods: [hessian_free], precision: f32}
metrics: [detection_auc]
store: {in_memory_mib: 0}
outputs: {gradients: true, report: false}
YAML
measure "$infbench" --quiet run "$folder/store.yaml" --out "$folder/run"
train=$(ls "$folder"/run/gradients/*.train.safetensors)
query=$(ls "$folder"/run/gradients/*.query.safetensors)
bytes=$(stat -c %s "$train")
echo "gradients: $((bytes >> 20)) MiB, $examples examples, $blocks blocks of $dim; memory of its own: $cap MiB"
echo "machine: $(awk '/MemTotal/ { printf "%d", $2 / 1024 }' /proc/meminfo) MiB of memory, $(nproc) cores"
echo "made and scored by hessian_free in $seconds s"
echo
echo "| blocks | queries | method | wall s | prepare + apply + score s | passes | peak anonymous MiB | peak mapped MiB | read from disk GB |"
echo "|---|---:|---|---:|---:|---:|---:|---:|---:|"
score() { # BLOCKS QUERIES METHOD [ARGUMENT...]
  local blocks=$1 queries=$2 method=$3
  shift 3
  measure "$infbench" score --train "$train" --query "$query" --precision f32 --blocks "$blocks" "$@" \
    --method "$method" --out "$folder/scores.safetensors"
  # method, prepare, apply, score, peak, read
  awk -v name="$method" -v size="$bytes" -v first="| $blocks | $queries | $method | $seconds" -v memory="$memory" '
    $1 == name { printf "%s | %.1f | %.1f | %s |\n", first, $2 + $3 + $4, $6 * 1e6 / size, memory; found = 1 }
    END { exit !found }' "$folder/log"
}
for method in "${methods[@]}"; do score per_matrix "$queries" "$method"; done
for method in "${whole[@]}"; do score whole mean "$method" --mean-query; done
