#!/bin/sh
# The whole shape of Stable Diffusion v1.5 against diffusers: text encoder, autoencoder at 512 x 512, the UNet's prediction
# and the gradients of all 256 LoRA tensors for one image at one timestep. Then time and memory, beside the forecast, of the
# gradients of EXAMPLES images (4 unless set; 0: none) at the six timesteps of the paper.
#
# Run:  sh scripts/sd-full.sh FOLDER [PYTHON]     FOLDER: where the weights are made unless they are there (4.3 GB)
# Needs shared/golden/sd_full (or $INFBENCH_SHARED), Python with NumPy for the weights, 9 GB of memory; takes a minute or two,
# and with the second part about eight.
set -eu
folder=${1:?"the folder of the weights"}
python=${2:-python3}
here=$(cd "$(dirname "$0")/.." && pwd)
shared=${INFBENCH_SHARED:-$here/../shared}
if [ ! -f "$folder/inputs.safetensors" ]; then
    mkdir -p "$folder"
    "$python" "$shared/golden/sd_full/make_weights.py" "$folder"
fi
folder=$(cd "$folder" && pwd)
cd "$here"
INFBENCH_SHARED="$shared" INFBENCH_SD_FULL="$folder" \
    cargo test --release --test diffusion -- --ignored --nocapture full_shape
if [ "${EXAMPLES:-4}" != 0 ]; then
    INFBENCH_SD_FULL="$folder" \
        cargo bench --quiet --bench diffusion -- six --repeats 1 --examples "${EXAMPLES:-4}"
fi
