#!/usr/bin/env bash
# Fetches icon sets from the npm registry and draws them as 64 x 64 PNG files with captions, for pretraining a diffusion
# pipeline (docs/diffusion.md).
#
#   scripts/get-icons.sh [FOLDER]      default: data/icons, which git ignores
#
# metadata.jsonl lists noto (Apache-2.0), twemoji (CC BY 4.0), emojione (CC BY 4.0) and openmoji (CC BY-SA 4.0), captions
# "an icon of NAME"; autoencoder.jsonl lists fxemoji (Apache-2.0), for the autoencoder besides. Needs npm, tar and cargo.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-"$here/../data/icons"}
if [ -f "$folder/metadata.jsonl" ] && [ -f "$folder/autoencoder.jsonl" ]; then
  echo "$folder: already there"
  exit 0
fi
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
fetch() { # NAME VERSION
  mkdir -p "$temporary/$1"
  (cd "$temporary" && npm pack --silent "@iconify-json/$1@$2" >/dev/null)
  tar -xzf "$temporary/iconify-json-$1-$2.tgz" -C "$temporary/$1"
}
fetch noto 1.2.9
fetch twemoji 1.2.5
fetch emojione 1.2.3
fetch openmoji 1.2.29
fetch fxemoji 1.2.2
draw() { # LIST NAME…
  local list=$1 sets=() name
  shift
  for name in "$@"; do sets+=("$name=$temporary/$name/package"); done
  cargo run --quiet --release --manifest-path "$here/icons/Cargo.toml" -- 64 "$folder" "$list" "${sets[@]}"
}
draw autoencoder.jsonl fxemoji
draw metadata.jsonl noto twemoji emojione openmoji
wc -l "$folder"/*.jsonl
