# all (seed) for x64, CUDA 12.8, Python 3.11, sm_90
# needs python3, git, nvcc, c++, cmake, ninja; 22 GB of disk; 16 jobs of 4 GB
# warning: sglang: the server of v0.4.1.post7 imports vllm 0.6.4.post1, which the document does not install; jsg launch --engine native needs neither

python3 -m venv .venv && . .venv/bin/activate   # never into the system Python

# install torch
pip install torch

# clone flashinfer v0.2.0
# documented: git clone -b v0.2.0 https://github.com/flashinfer-ai/flashinfer.git --recursive
# That fetches six submodules, 363 MB; the wheel needs one of them.
git clone -b v0.2.0 https://github.com/flashinfer-ai/flashinfer.git --depth 1

# fetch the submodules of flashinfer that are used
cd flashinfer
git submodule update --init --depth 1 3rdparty/cutlass

# install the build tools
# missing from the document: a new environment has no setuptools (Python 3.12) or no wheel (3.10).
cd ..
export TORCH_CUDA_ARCH_LIST=9.0
export FLASHINFER_ENABLE_AOT=0
python3 -m pip install setuptools wheel

# build the wheel
cd flashinfer
python3 setup.py --verbose bdist_wheel --dist-dir ./

# install the wheel
# --no-deps keeps pip from fetching a torch without CUDA; it comes from `jsg build torch`.
pip3 install flashinfer-0.2.0-py3-none-any.whl --no-deps --force-reinstall

# install what its compiler of kernels calls
cd ..
python3 -m pip install ninja

# clone sglang v0.4.1.post7
# documented: git clone https://github.com/sgl-project/sglang
# Without a tag that is today's SGLang, to which neither FlashInfer v0.2.0 nor the wheel's name below fit.
git clone -b v0.4.1.post7 https://github.com/sgl-project/sglang --depth 1

# install the build tools
unset TORCH_CUDA_ARCH_LIST FLASHINFER_ENABLE_AOT
python3 -m pip install setuptools wheel

# install SGLang from its clone
cd sglang/python
pip install -e .

# install what its server imports
# missing from the document: its extra `srt` also names decord, which has no wheel for aarch64, and outlines and torchao,
# which only some launches need.
cd ../..
python3 -m pip install aiohttp fastapi hf_transfer huggingface_hub interegular orjson packaging pillow prometheus-client psutil pydantic python-multipart pyzmq uvicorn uvloop

# fetch the submodules of sglang that are used
cd sglang
git submodule update --init --depth 1 sgl-kernel/3rdparty

# install the build tools
cd ..
export TORCH_CUDA_ARCH_LIST=9.0
export MAX_JOBS=16
export CMAKE_BUILD_PARALLEL_LEVEL=16
export NVCC_THREADS=1
python3 -m pip install setuptools wheel ninja

# build the wheel
# documented: cd sgl-kernel, from within sglang/python: there is none, it is a sibling (cd ../sgl-kernel).
cd sglang/sgl-kernel
python3 setup.py --verbose bdist_wheel --dist-dir ./

# install the wheel
# documented: pip3 install sgl_kernel-0.0.2.post14-cp310-cp310-linux_aarch64.whl
# The name depends on the checkout and its ABI tag (cp39-abi3 in some), so the wheel is found by its first part.
pip3 install sgl_kernel-*.whl --no-deps --force-reinstall

# clone xgrammar v0.1.11
# documented: git clone --recursive https://github.com/mlc-ai/xgrammar.git && cd xgrammar
# Without a tag python/ has had no setup.py since v0.1.14, and cmake asks for tvm_ffi.
cd ../..
git clone -b v0.1.11 https://github.com/mlc-ai/xgrammar.git --depth 1

# fetch the submodules of xgrammar that are used
cd xgrammar
git submodule update --init --depth 1 3rdparty/dlpack 3rdparty/googletest

# install the build tools
# missing from the document: without pybind11 cmake stops.
cd ..
unset TORCH_CUDA_ARCH_LIST MAX_JOBS CMAKE_BUILD_PARALLEL_LEVEL NVCC_THREADS
python3 -m pip install setuptools wheel pybind11

# configure
# documented before it: pre-commit install (hooks for who commits to XGrammar; a build needs none)
mkdir -p xgrammar/build && cd xgrammar/build
cmake .. -G Ninja

# compile
# documented: ninja (as many jobs as cores, whatever memory there is)
ninja -j 16

# install
cd ../python
python3 -m pip install .

cd ../..
