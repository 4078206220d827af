#!/usr/bin/env bash
# Prints the path of an nvcc, with cuobjdump and nvdisasm beside it; fetches them once, about 90 MB by pip into
# build/cuda-toolkit, and changes nothing else on the machine:
#   CUDACXX=$(scripts/cuda/toolkit.sh) cmake ...
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
toolkit=$(dirname "$(dirname "$here")")/build/cuda-toolkit
nvcc=$toolkit/nvidia/cu13/bin/nvcc
seconds=300

# The list is copied last: a toolkit that has it is whole, and of these versions.
if ! cmp -s "$here/requirements.txt" "$toolkit/requirements.txt"; then
  rm -rf "$toolkit"
  # --target needs no venv, and touches no Python that the system manages.
  if ! timeout "$seconds" python3 -m pip install --quiet --no-input --disable-pip-version-check --timeout 30 --retries 2 \
    --root-user-action ignore --no-deps --only-binary :all: --target "$toolkit" -r "$here/requirements.txt" >&2; then
    echo "jsg: pip could not fetch the CUDA compiler within $seconds s: no python3 with pip, or no package index in reach;" \
      "CUDACXX names an nvcc that is there" >&2
    exit 1
  fi
  cp "$here/requirements.txt" "$toolkit/"
fi
echo "$nvcc"
