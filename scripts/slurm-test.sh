#!/usr/bin/env bash
# infbench submit on a real Slurm with three nodes on this machine (scripts/slurm-cluster.sh): a sweep on one node
# and on three, with what the engine adds to the time of its units; and a sweep with retrainings in which a task runs out of time, one out of memory, a node is cut off and a
# job is preempted. It has to end with the same bytes outside timings as one process. Then a unit that cannot finish is
# preempted and cancelled: it has to be started again, and not to come back. Some three minutes.
#   scripts/slurm-test.sh [INFBENCH [EXPERIMENT]]     the program [target/release/infbench] and the sweep [smoke]
# Exit code 0: passed, or Slurm cannot be had here, which is said; 1: failed.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
program=$(realpath "${1:-target/release/infbench}")
sweep=experiments/${2:-smoke}.yaml
skip() { echo "SKIPPED: $1; infbench submit was not tried on Slurm"; exit 0; }
[ "$(id -u)" = 0 ] || skip "starting nodes needs root"
packages="slurmctld slurmd slurm-client munge slurmdbd mariadb-server iproute2"
if ! command -v slurmctld sbatch munged slurmdbd mariadbd ip >/dev/null; then
  command -v apt-get >/dev/null || skip "no Slurm and no apt-get"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086
  (timeout 240 apt-get install -y --no-install-recommends $packages ||
    (timeout 60 apt-get update && timeout 240 apt-get install -y --no-install-recommends $packages)) >/dev/null 2>&1 || true
fi
for command in slurmctld slurmd sbatch munged ip; do
  command -v $command >/dev/null || skip "no $command"
done
work=$(mktemp -d)
ip netns add ibprobe 2>/dev/null || skip "network namespaces are not allowed"
ip netns del ibprobe
cleanup() { "$root/scripts/slurm-cluster.sh" stop "$work/slurm" >/dev/null 2>&1 || true; rm -rf "$work"; }
trap cleanup EXIT
step() { printf '== %s (%s s)\n' "$1" "$SECONDS"; }
fail() {
  echo "FAILED: $1"
  cd "$work"
  tail -n 15 ./*/jobs/logs/*.out slurm/log/slurmctld.log 2>/dev/null | tail -n 120
  exit 1
}

step "three nodes"
scripts/slurm-cluster.sh start "$work/slurm" | tail -n 6
export SLURM_CONF=$work/slurm/slurm.conf
on() { ip netns exec ibc0 "$@"; }
[ "$(on sinfo -h -p main -t idle -o %D)" = 3 ] || fail "the nodes are not there"

cat >"$work/retraining.yaml" <<'YAML'
name: retraining
seeds: [0, 1]
task: {name: digits, train: 60, query: 20, flip: 0.2}
model: {name: transformer, hidden: 16, heads: 2, layers: 1, ffn: 16, pretrain: {epochs: 2, lr: 2.0e-3, batch_size: 32}}
lora: {targets: [query, value], rank: 1, dropout: 0}
train: {epochs: 3, lr: 1.0e-2, batch_size: 20}
influence: {methods: [exact, datainf, hessian_free]}
ground_truth:
  leave_one_out: {examples: 5, seeds: 2}
  subset_retraining: {fractions: [0.5], subsets: 4, seeds: 2}
sweep: {influence.damping: [0.01, 0.1]}
YAML
# what goes wrong, in the first attempt alone: the first fine-tune hangs, a slice of retrainings takes 900 MB (one that
# starts when the cut off node is away), and slices on the nodes that are to be lost do not end before they are: Slurm lets
# a preempted task end within the GraceTime of its partition, and then it was not preempted
cat >"$work/faults.sh" <<BASH
case "\$SLURM_JOB_NAME.\$SLURM_ARRAY_TASK_ID" in
  infbench-retraining-tune.0) sleep 300 ;;
  infbench-retraining-retrain.20) head -c 900M /dev/zero | tail -c 900M | (sleep 8; cat >/dev/null); sleep 60 ;;
  infbench-retraining-retrain.*) if [ "\$(hostname)" = ibn1 ] || [ -e "$work/lost" ]; then sleep 2; else sleep 50; fi ;;
esac
BASH

step "the same in one process"
"$program" run "$sweep" --out "$work/sweep-one" --quiet >/dev/null
"$program" run "$work/retraining.yaml" --out "$work/retraining-one" --quiet >/dev/null

submit() { on "$program" submit "$@" --engine slurm --least-memory 400 --array-limit 6; }
finished() { # waits until nothing of a folder runs or waits
  for _ in $(seq 120); do
    on "$program" status "$1" >"$1.status" || true
    if grep -q " done " "$1.status" && ! grep -q "to go" "$1.status"; then return; fi
    sleep 2
  done
  cat "$1.status"; on squeue; fail "$1 does not end"
}

# a folder whose name means something to sbatch and to a shell
odd="$work/it's 3 \"nodes\" %j"
step "submitted: a sweep with retrainings and faults; and one on one node and on three"
submit "$work/retraining.yaml" --out "$work/retraining" --slice 1e-9 --pack 1e-9 --least-time 1 --grace 5 \
  --preamble "$work/faults.sh"
submit "$sweep" --out "$work/sweep-1" --sbatch nodelist=ibn1 --pack 1e-9 --least-time 5
submit "$sweep" --out "$odd" --pack 1e-9 --least-time 5

# once retrainings are at work: a node is cut off, and on another an urgent job takes their place
running() { on squeue -h -t RUNNING -n infbench-retraining-retrain -w "$1" -o %i | head -n 1; }
for _ in $(seq 200); do
  cut=$(running ibn2) preempted=$(running ibn3)
  [ -n "$cut" ] && [ -n "$preempted" ] && break
  sleep 0.3
done
[ -n "$cut" ] && [ -n "$preempted" ] || fail "no retrainings on ibn2 and ibn3 at a time"
step "ibn2 is cut off (with $cut), ibn3 preempted (with $preempted)"
ip -n ibn2 link set eth0 down
on sbatch --quiet -p urgent -w ibn3 --exclusive -t 1 -o /dev/null --wrap "sleep 2"
touch "$work/lost"

step "waiting"
finished "$work/sweep-1"
finished "$odd"
finished "$work/retraining"
ip -n ibn2 link set eth0 up
for cause in "NODE_FAIL on ibn2" "PREEMPTED on ibn3"; do
  # the controller tells the accounting a little later
  for _ in $(seq 30); do
    grep -q "started again after $cause" "$work/retraining.status" && continue 2
    sleep 1
    on "$program" status "$work/retraining" >"$work/retraining.status"
  done
  cat "$work/retraining.status"
  fail "the accounting does not tell: $cause"
done
cat "$work/retraining.status"
grep -q "failed\b" "$work/retraining.status" && ! grep -qE "[1-9][0-9]* failed" "$work/retraining.status" ||
  fail "units failed"

step "results"
results=("$work/sweep-1" "$odd" "$work/retraining")
for folder in "${results[@]}"; do
  one=$work/sweep-one
  [ "$folder" != "$work/retraining" ] || one=$work/retraining-one
  on "$program" compare "$one" "$folder" >"$work/compare" || { cat "$work/compare"; fail "$folder differs"; }
  echo "${folder##*/}: $(grep "Same bytes" "$work/compare")"
  [ -s "$folder/report.html" ] || fail "$folder has no report"
  [ -n "$(find "$folder/jobs/logs" -name '*-score.*_0.out')" ] || fail "the output of a task is not in $folder/jobs/logs"
done
settled=$(cat "$work"/retraining/jobs/logs/*settle*.out)
echo "$settled" | sort -u
for cause in timeout "out of memory" "once more"; do
  grep -qi "$cause" <<<"$settled" || fail "settling does not tell: $cause"
done
for folder in "${results[@]}"; do
  echo "units of ${folder##*/} by node: $(grep -ho '"host": "[^"]*"' "$folder"/units/*.json | sort | uniq -c | tr -s ' \n' ' ')"
done
took() { # what the engine adds: from submission to the end, in tasks, and in units
  local ids seconds
  ids=$(grep -ho '"id": "[0-9]*"' "$1"/jobs/*.submitted.json | grep -o '[0-9]*' | paste -sd,)
  seconds=$(grep -h '"seconds"' "$1"/units/*.json | tr -dc '0-9.\n' | awk '{ sum += $1 } END { print sum }')
  on sacct -n -P -X -j "$ids" --format=JobID,Submit,End,ElapsedRaw | while IFS='|' read -r _ from to spent; do
    echo "$(date -d "$from" +%s) $(date -d "$to" +%s) $spent"
  done | awk -v name="${1##*/}" -v units="$seconds" '
    { if (!first || $1 < first) first = $1; if ($2 > last) last = $2; spent += $3; n++ }
    END { printf "%s: %d tasks in %d s from submission to the end; the tasks took %d s, their units %.1f s\n", name, n, last - first, spent, units }'
}
if on sacct -n -P -X --format=JobName,State,Elapsed >"$work/sacct" 2>/dev/null; then
  echo "tasks: $(grep -v settle "$work/sacct" | cut -d'|' -f2 | cut -d' ' -f1 | sort | uniq -c | tr -s ' \n' ' ')"
  took "$work/sweep-1"
  took "$odd"
  echo "preempted: $preempted, $(on sacct -D -n -P -X -j "$preempted" --format=State | tr '\n' ' ')"
  echo "cut off: $cut, $(on sacct -D -n -P -X -j "$cut" --format=State,NodeList | tr '\n' ' ')"
fi
step "a unit that cannot finish: preempted, started again, cancelled"
# its base would take hours, and has one second of grace
sed 's/epochs: 2, lr: 2/epochs: 1000000, lr: 2/; s/name: retraining/name: endless/' "$work/retraining.yaml" >"$work/endless.yaml"
submit "$work/endless.yaml" --out "$work/endless" --sbatch nodelist=ibn1 --sbatch time=1:00:00 --grace 1
until_true() { # waits for a command to succeed
  for _ in $(seq 60); do if "$@"; then return; fi; sleep 0.5; done
  on squeue; cat "$work/endless.status"; fail "not in half a minute: $*"
}
status_says() { on "$program" status "$work/endless" >"$work/endless.status"; grep -q "$1" "$work/endless.status"; }
until_true status_says "^base-.*: running"
on sbatch --quiet -p urgent -w ibn1 --exclusive -t 1 -o /dev/null --wrap "sleep 1"
until_true status_says "started again after PREEMPTED"
until_true status_says "^base-.*: running"
cat "$work/endless.status"
grep -q "then it is left undone" "$work"/endless/jobs/logs/*base*.out || fail "the unit was not asked to stop"
on "$program" cancel "$work/endless"
gone() { [ -z "$(on squeue -h -o %j | grep endless)" ]; }
until_true gone
sleep 7
gone || fail "a cancelled job came back"
[ -z "$(find "$work/endless" -name '.writing-*' -o -name '*.part-*')" ] || fail "the endless unit left something behind"
step "passed"
