#!/usr/bin/env bash
# Holds class retrieval on SmolLM2-135M-Instruct against a measurement by PyTorch + PEFT, through the doors outward.
#
#   scripts/llama-reference.sh DATA [OUT]     DATA holds datainf_grammars, datainf_math_without_reason
#
# The first 20 training texts and 5 queries per class of the authors' files; adapters of rank 8 on queries and values of
# all layers, ten steps on all texts at a rate of 3e-4 (in the sets that end in _52, 52 steps of 16 texts at 1e-3;
# grammars_plain has prompts without the chatbot's name and the title). `infbench run` fine-tunes and saves the adapter,
# `infbench gradients` takes the gradients of both losses, `infbench score` scores them, and scripts/llama_reference.py sets
# class AUC and recall, computed by NumPy, beside the reference and beside the run's own numbers. About 10 minutes of
# processor time a set.
# INFBENCH names the program, INFBENCH_SMOLLM2 the model's folder, SETS the data sets, PYTHON one with NumPy.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
data=$(cd "$1" && pwd) out=${2:-runs/llama_reference}
infbench=${INFBENCH:-$here/target/release/infbench}
model=${INFBENCH_SMOLLM2:-$here/models/SmolLM2-135M-Instruct}
read -r -a threads <<< "${THREADS:+--threads $THREADS}"
methods=(exact datainf datainf:group_size=16 hessian_free grad_cos)
mkdir -p "$out"
for set in ${SETS:-math_without_reason grammars grammars_52 grammars_plain_52}; do
  case $set in
    *_52) epochs=4 batch=16 rate=1.0e-3 ;;
    *) epochs=10 batch=200 rate=3.0e-4 ;;
  esac
  from=${set%_52}
  dir=$out/$set
  mkdir -p "$dir"
  "${PYTHON:-python3}" "$here/scripts/llama_reference.py" subset "$data/datainf_${from%_plain}" "$dir"
  cat > "$dir/experiment.yaml" <<YAML
name: llama_reference
task: {name: instruction, path: $dir, max_length: 128, eos: masked, train_tokens: all, tokens: published}
model: {path: $model}
lora: {targets: [q_proj, v_proj], layers: all, rank: 8, alpha: 32, dropout: 0.05}
train: {epochs: $epochs, lr: $rate, batch_size: $batch, optimizer: adamw, weight_decay: 0, schedule: linear, warmup: 0}
influence: {damping: 0.1, methods: [exact, datainf, "datainf:group_size=16", hessian_free, grad_cos, token_bags, length]}
outputs: {adapters: true, report: false}
YAML
  "$infbench" "${threads[@]}" run "$dir/experiment.yaml" --out "$dir/run"
  adapter=$(echo "$dir"/run/adapters/*)
  for tokens in published answer; do
    for split in train test; do
      "$infbench" "${threads[@]}" gradients --model "$model" --adapter "$adapter" --task instruction --tokens "$tokens" \
        --max-length 128 --examples "$dir/$split.jsonl" --out "$dir/$tokens.$split.safetensors"
    done
    "$infbench" "${threads[@]}" score --train "$dir/$tokens.train.safetensors" --query "$dir/$tokens.test.safetensors" \
      --out "$dir/$tokens.scores.safetensors" $(printf -- '--method %s ' "${methods[@]}")
    rm -f "$dir/$tokens".{train,test}.safetensors
  done
done
"${PYTHON:-python3}" "$here/scripts/llama_reference.py" compare "$out"
