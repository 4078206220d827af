# all (latest) for x64, CUDA 12.8, Python 3.11, sm_90
# needs python3, git, nvcc, c++, cmake, ninja; 38 GB of disk; 16 jobs of 6 GB
# warning: sgl-kernel: upstream leaves out kernels below sm_90 on aarch64; ENABLE_BELOW_SM90 turns them on, and some sources may still not compile for Orin

python3 -m venv .venv && . .venv/bin/activate   # never into the system Python

# install torch 2.8.0
pip install torch==2.8.0

# clone flashinfer v0.6.17
git clone -b v0.6.17 https://github.com/flashinfer-ai/flashinfer.git --depth 1

# fetch the submodules of flashinfer that are used
cd flashinfer
git submodule update --init --depth 1 3rdparty/cutlass 3rdparty/spdlog 3rdparty/cccl

# build the wheel
export TORCH_CUDA_ARCH_LIST=9.0
export FLASHINFER_CUDA_ARCH_LIST=9.0
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
export TORCH_CUDA_ARCH_LIST=9.0
export CMAKE_ARGS=-DENABLE_BELOW_SM90=ON
export MAX_JOBS=16
export CMAKE_BUILD_PARALLEL_LEVEL=16
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
