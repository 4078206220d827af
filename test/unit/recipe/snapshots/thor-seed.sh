# all (seed) for Jetson AGX Thor, JetPack 7.0, CUDA 13.0, Python 3.12, sm_110
# needs python3, git, nvcc, c++, cmake, ninja; 22 GB of disk; 14 jobs of 4 GB
# warning: sglang: the server of v0.4.1.post7 imports vllm 0.6.4.post1, which the document does not install; jsg launch --engine native needs neither

python3 -m venv .venv && . .venv/bin/activate   # never into the system Python

# fetch torch and what it requires
# jsg does this by itself: the mirrors in order, each sha256 verified, the choice kept in jsg.lock.yaml.
python3 -m pip download torch --index-url https://pypi.jetson-ai-lab.io/sbsa/cu130/+simple/ -d wheels/torch

# install torch
# documented: pip install torch --index-url https://pypi.jetson-ai-lab.dev/jp6/cu126
# That address died in 2025. From the files that were fetched, and from nothing else: by --extra-index-url an outage
# would bring the CPU torch of the public index, with exit code 0.
export PIP_CONFIG_FILE=/dev/null
export PIP_FIND_LINKS=''
pip install --no-index --find-links wheels/torch --force-reinstall wheels/torch/torch-*.whl

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
unset PIP_CONFIG_FILE PIP_FIND_LINKS
export TORCH_CUDA_ARCH_LIST=11.0
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
export TORCH_CUDA_ARCH_LIST=11.0
export MAX_JOBS=14
export CMAKE_BUILD_PARALLEL_LEVEL=14
export NVCC_THREADS=1
python3 -m pip install setuptools wheel ninja

# compile for this board
# missing from the document: setup.py has its own list of architectures (75, 80, 89, 90), which knows no Orin and
# does not read TORCH_CUDA_ARCH_LIST; it also names the wheel and the library folder for x86_64 on every machine.
cd sglang/sgl-kernel
sed -i -e s/compute_80,code=sm_80/compute_110,code=sm_110/g -e s/manylinux2014_x86_64/linux_aarch64/g -e s/x86_64-linux-gnu/aarch64-linux-gnu/g setup.py

# build the wheel
# documented: cd sgl-kernel, from within sglang/python: there is none, it is a sibling (cd ../sgl-kernel).
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
ninja -j 14

# install
cd ../python
python3 -m pip install .

cd ../..
