#!/usr/bin/env bash
# Larger than memory: per-example gradients of Llama-2-13B's shape with random weights, one layer in memory at a time, and
# scores of 900 x 100 gradients of its size. Writes to OUT: 26 GB of weights with 40 layers, removed at the end unless
# KEEP=1; then BLOCKS * 164 MB of gradients.
#   scripts/llama-13b.sh OUT TOKENIZER_DIR      a Llama's tokenizer, e.g. of stories260K
# LAYERS=40 EXAMPLES=16 TOKENS=64 BLOCKS=160 THREADS=2 PYTHON=python3 INFBENCH=target/release/infbench
set -euo pipefail
out=$1; tokenizer=$2
layers=${LAYERS:-40}; blocks=${BLOCKS:-160}; tokens=${TOKENS:-64}; threads=${THREADS:-2}
infbench=${INFBENCH:-target/release/infbench}
here=$(cd "$(dirname "$0")" && pwd)
measured() { # peak resident memory and processor time of a command
  "${PYTHON:-python3}" - "$@" <<'PY'
import resource, subprocess, sys, time
start = time.time()
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"  {time.time() - start:.0f} s, processor {used.ru_utime:.0f} + {used.ru_stime:.0f} s, peak resident {used.ru_maxrss / 2**20:.2f} GiB")
sys.exit(code)
PY
}
if [ ! -f "$out/examples.jsonl" ]; then
  echo "weights of $layers layers"
  measured "${PYTHON:-python3}" "$here/llama_13b.py" "$out" "$tokenizer" --layers "$layers" --examples "${EXAMPLES:-16}"
fi
cat > "$out/plan.yaml" <<YAML
name: llama_13b
task: {name: instruction, path: $out/examples.jsonl, max_length: $tokens, truncate: right, tokens: all}
model: {path: $out/model, stream: true}
lora: {rank: 8, targets: [q_proj, v_proj]}
train: {epochs: 1}
influence: {methods: [hessian_free]}
YAML
"$infbench" plan "$out/plan.yaml" || true
echo "gradients of ${EXAMPLES:-16} examples of $tokens tokens"
measured "$infbench" --threads "$threads" gradients --model "$out/model" --adapter "$out/adapter" --task instruction \
  --examples "$out/examples.jsonl" --tokens all --max-length "$tokens" --truncate right --stream true --out "$out/g.safetensors"
[ "${KEEP:-0}" = 1 ] || rm -rf "$out/model"
cat > "$out/scores.yaml" <<YAML
name: llama_13b_scores
task: {name: gradients, train: 900, query: 100, blocks: $blocks, dim: 40960}
influence: {methods: [exact, datainf, hessian_free]}
store: {in_memory_mib: 1}
outputs: {report: false}
YAML
echo "scores of 900 x 100 gradients of $blocks blocks"
measured "$infbench" --threads "$threads" run "$out/scores.yaml" --out "$out/scores"
