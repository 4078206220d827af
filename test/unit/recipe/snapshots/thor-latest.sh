# all (latest) for Jetson AGX Thor, JetPack 7.0, CUDA 13.0, Python 3.12, sm_110
# needs python3, git, nvcc, c++, cmake, ninja; 38 GB of disk; 14 jobs of 6 GB
# warning: sgl-kernel: upstream leaves out kernels below sm_90 on aarch64; ENABLE_BELOW_SM90 turns them on, and some sources may still not compile for Orin

python3 -m venv .venv && . .venv/bin/activate   # never into the system Python

# fetch torch and what it requires
# jsg does this by itself: the mirrors in order, each sha256 verified, the choice kept in jsg.lock.yaml.
python3 -m pip download torch==2.9.1 --index-url https://pypi.jetson-ai-lab.io/sbsa/cu130/+simple/ -d wheels/torch

# install torch 2.9.1
# a wheel was once rebuilt under the same name, so the hash of what came is kept.
export PIP_CONFIG_FILE=/dev/null
export PIP_FIND_LINKS=''
pip install --no-index --find-links wheels/torch --force-reinstall wheels/torch/torch-*.whl

# clone flashinfer v0.6.17
git clone -b v0.6.17 https://github.com/flashinfer-ai/flashinfer.git --depth 1

# fetch the submodules of flashinfer that are used
cd flashinfer
git submodule update --init --depth 1 3rdparty/cutlass 3rdparty/spdlog 3rdparty/cccl

# build the wheel
unset PIP_CONFIG_FILE PIP_FIND_LINKS
export TORCH_CUDA_ARCH_LIST=11.0
export FLASHINFER_CUDA_ARCH_LIST=11.0
export BUILD_NVEP=0
python3 -m pip wheel . --no-deps -w dist

# install the wheel
# --no-deps keeps pip from fetching a torch without CUDA; it comes from `jsg build torch`.
cd dist
pip3 install flashinfer_python-*.whl --no-deps --force-reinstall

# install what it imports and calls
# not all that it names, which brings libraries of CUDA for servers.
cd ../..
python3 -m pip install 'apache-tvm-ffi<0.2' click einops ninja numpy nvidia-ml-py packaging requests tabulate tqdm

# clone sglang v0.5.11
git clone -b v0.5.11 https://github.com/sgl-project/sglang --depth 1

# install the build tools
unset TORCH_CUDA_ARCH_LIST FLASHINFER_CUDA_ARCH_LIST BUILD_NVEP
python3 -m pip install setuptools wheel

# install SGLang from its clone
# --no-deps, for it names one torch, of the public index; `jsg doctor` names Python packages that are missing.
cd sglang/python
pip install -e . --no-deps

# install the build tools
cd ../..
export TORCH_CUDA_ARCH_LIST=11.0
export CMAKE_ARGS=-DENABLE_BELOW_SM90=ON
export MAX_JOBS=14
export CMAKE_BUILD_PARALLEL_LEVEL=14
python3 -m pip install scikit-build-core wheel ninja

# build the wheel
cd sglang/sgl-kernel
python3 -m pip wheel . --no-build-isolation --no-deps -w dist

# install the wheel
cd dist
pip3 install sgl*_kernel-*.whl --no-deps --force-reinstall

# install the build tools
# cmake stops without tvm_ffi.
cd ../../..
unset TORCH_CUDA_ARCH_LIST CMAKE_ARGS MAX_JOBS
export CXXFLAGS=-Wno-error=maybe-uninitialized
python3 -m pip install apache-tvm-ffi scikit-build-core wheel

# build the wheel
# --no-binary names the one package: for :all: pip would build the build tools too.
mkdir -p xgrammar && cd xgrammar
python3 -m pip wheel xgrammar==0.2.8 --no-binary xgrammar --no-deps -w .

# install the wheel
python3 -m pip install xgrammar-0.2.8-*.whl --no-deps --force-reinstall

# install what it imports
# xgrammar itself is there, and on a Jetson torch is.
cd ..
python3 -m pip install xgrammar==0.2.8
