#!/usr/bin/env bash
# Sets up libtorch 2.9.0 for the CPU from PyPI's wheel of PyTorch, without installing PyTorch.
#
#   scripts/libtorch.sh [FOLDER]       default: libtorch, which git ignores
#   export LIBTORCH=$PWD/libtorch
#   cargo run --release --features libtorch -- run experiments/quickstart.yaml --device libtorch
#
# Needs pip, unzip and a C++ compiler; downloads about 1 GB, keeps 700 MB. Leaving libtorch_cuda out makes the
# build link for the CPU alone. With an installed PyTorch 2.9 (CUDA, too) this script is not needed: set
# LIBTORCH_USE_PYTORCH=1 instead.
set -euo pipefail
folder=${1:-"$(dirname "$0")/../libtorch"}
version=2.9.0
if [ "$(cat "$folder/build-version" 2>/dev/null)" = "$version" ]; then
  echo "$folder: already there"
  exit 0
fi
mkdir -p "$(dirname "$folder")"
# beside the folder, so that it gets its name in one step and a broken download leaves nothing
temporary=$(mktemp -d "$(dirname "$folder")/.libtorch.XXXXXX")
trap 'rm -rf "$temporary"' EXIT
# the wheel of one Python version, for any Python that runs this
python3 -m pip download --quiet --no-deps --dest "$temporary" \
  --python-version 3.11 --implementation cp --abi cp311 --only-binary=:all: --platform manylinux_2_28_x86_64 \
  "torch==$version"
python3 -m pip download --quiet --no-deps --dest "$temporary" \
  nvidia-cuda-runtime-cu12==12.8.90 nvidia-cuda-cupti-cu12==12.8.90
made="$temporary/libtorch"
mkdir -p "$made/lib"
unzip -q "$temporary"/torch-*.whl 'torch/include/*' 'torch/lib/libtorch.so' 'torch/lib/libtorch_cpu.so' \
  'torch/lib/libc10.so' 'torch/lib/libgomp*.so*' -d "$temporary"
mv "$temporary/torch/include" "$made/"
mv "$temporary"/torch/lib/* "$made/lib/"
for wheel in "$temporary"/nvidia_*.whl; do
  # libtorch_cpu names these two, though it calls them with a GPU only
  unzip -q -j "$wheel" '*/libcudart.so.12' -d "$made/lib" 2>/dev/null ||
    unzip -q -j "$wheel" '*/libcupti.so.12' -d "$made/lib"
done
for needed in libtorch.so libtorch_cpu.so libc10.so libcudart.so.12 libcupti.so.12; do
  [ -f "$made/lib/$needed" ] || { echo "$needed was not in the wheels" >&2; exit 1; }
done
echo "$version" >"$made/build-version"
rm -rf "$folder"
mv "$made" "$folder"
echo "$folder"
