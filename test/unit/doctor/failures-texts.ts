/** Texts of failures as boards print them, each with the finding that must come first; and healthy ones. */

export const FAILING: [finding: string, text: string][] = [
  [
    'build-oom',
    'c++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\nninja: build stopped: subcommand failed.',
  ],
  [
    'build-oom',
    '[12/94] Building CUDA object x.cu.o\nFAILED: x.cu.o\n/usr/local/cuda/bin/nvcc -c x.cu\nKilled\nninja: build stopped: subcommand failed.',
  ],
  ['build-oom', 'gcc: internal compiler error: Killed (program cc1plus)'],
  ['build-oom', "nvcc error   : 'cicc' died due to signal 9 (Kill signal)"],
  ['build-oom', 'collect2: fatal error: ld terminated with signal 9 [Killed]'],
  ['build-oom', '[ 8123.4] Out of memory: Killed process 4711 (cicc) total-vm:9123456kB, anon-rss:7123456kB'],
  [
    'build-oom',
    '#14 ERROR: process "/bin/sh -c python3 setup.py bdist_wheel" did not complete successfully: exit code: 137',
  ],
  [
    'build-oom',
    "error: could not compile `outlines-core` (lib)\nprocess didn't exit successfully: `rustc --crate-name x` (signal: 9, SIGKILL: kill)",
  ],
  ['build-oom', 'cc1plus: out of memory allocating 65536 bytes after a total of 1318912 bytes'],
  ['memory-killed', '[  912.3] Out of memory: Killed process 2211 (python3) total-vm:31234567kB, anon-rss:22334455kB'],
  ['memory-killed', 'Loading safetensors checkpoint shards:  50% Completed | 2/4\nKilled'],
  [
    'memory-killed',
    'systemd-oomd[611]: Killed /user.slice/user-1000.slice/session-3.scope due to memory pressure for /user.slice being 68.42% > 50.00%',
  ],
  [
    'memory-killed',
    '[2026-01-26 21:32:18] Rank 0 scheduler is dead. Please check if there are relevant logs.\nExit code: -9',
  ],
  ['host-memory', '-bash: fork: Cannot allocate memory'],
  [
    'host-memory',
    'RuntimeError: [enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: not enough memory: you tried to allocate 1050673152 bytes.',
  ],
  ['nvcc-arch-list', "nvcc fatal   : Unsupported gpu architecture 'compute_121a'"],
  ['nvcc-arch-list', 'ValueError: Unknown CUDA arch (11.0a) or GPU not supported'],
  ['nvcc-arch-list', 'RuntimeError: No supported CUDA architectures found for major versions [9, 10].'],
  ['nvcc-arch-list', "nvcc fatal   : Unsupported gpu architecture 'sm_53'"],
  ['triton-ptxas', "ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'"],
  ['triton-ptxas', 'triton.runtime.errors.PTXASError: PTXAS error: Internal Triton PTX codegen error'],
  ['triton-ptxas', 'RuntimeError: Cannot find ptxas'],
  ['triton-ptxas', "ptxas /tmp/tmpx.ptx, line 5; fatal   : Unsupported .version 8.7; current version is '8.4'"],
  ['nvcc-missing', 'OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root.'],
  ['nvcc-missing', '/bin/sh: 1: nvcc: not found'],
  ['nvcc-missing', 'CMake Error at CMakeLists.txt:3 (project):\n  No CMAKE_CUDA_COMPILER could be found.'],
  ['host-compiler-unsupported', '#error -- unsupported GNU version! gcc versions later than 13 are not supported!'],
  ['compiler-missing', "error: command 'aarch64-linux-gnu-gcc' failed: No such file or directory"],
  ['compiler-missing', 'RuntimeError: Failed to find C compiler. Please specify via CC environment variable.'],
  [
    'cmake-too-old',
    'CMake Error at CMakeLists.txt:1 (cmake_minimum_required):\n  CMake 3.26 or higher is required.  You are running version 3.22.1',
  ],
  [
    'cmake-too-new',
    'CMake Error at 3rdparty/x/CMakeLists.txt:1 (cmake_minimum_required):\n  Compatibility with CMake < 3.5 has been removed from CMake.',
  ],
  [
    'cmake-too-new',
    'CMake Error at /usr/share/cmake/Modules/FetchContent.cmake:1951 (message):\n  Calling FetchContent_Populate(repo) is deprecated, policy CMP0169 must be set to OLD',
  ],
  ['ninja-missing', 'RuntimeError: Ninja is required to load C++ extensions (pip install ninja to get it)'],
  [
    'ninja-missing',
    'CMake Error: CMake was unable to find a build program corresponding to "Ninja".  CMAKE_MAKE_PROGRAM is not set.',
  ],
  ['python-headers', 'x.cpp:1:10: fatal error: Python.h: No such file or directory\ncompilation terminated.'],
  ['submodules-missing', 'flashinfer/attention/x.cuh:19:10: fatal error: cutlass/cutlass.h: No such file or directory'],
  [
    'submodules-missing',
    'CMake Error at CMakeLists.txt:40 (add_subdirectory):\n  The source directory\n\n    /home/me/xgrammar/3rdparty/picojson\n\n  does not contain a CMakeLists.txt file.',
  ],
  [
    'git-tag-missing',
    'warning: Could not find remote branch v9.9.9 to clone.\nfatal: Remote branch v9.9.9 not found in upstream origin',
  ],
  ['git-folder-exists', "fatal: destination path 'flashinfer' already exists and is not an empty directory."],
  [
    'network-down',
    "fatal: unable to access 'https://github.com/sgl-project/sglang/': Could not resolve host: github.com",
  ],
  [
    'git-file-protocol',
    "fatal: transport 'file' not allowed\nfatal: Failed to clone '3rdparty/cutlass' a second time, aborting",
  ],
  ['recipe-folder', 'bash: cd: sgl-kernel: No such file or directory'],
  ['recipe-folder', "ERROR: Directory '.' is not installable. Neither 'setup.py' nor 'pyproject.toml' found."],
  [
    'xgrammar-werror',
    'optional:214:15: error: may be used uninitialized [-Werror=maybe-uninitialized]\nlto1: all warnings being treated as errors\nlto-wrapper: fatal error: lto-wrapper failed',
  ],
  [
    'tvm-ffi-missing',
    'CMake Error at CMakeLists.txt:83 (find_package):\n  Could not find a package configuration file provided by "tvm_ffi" with any of',
  ],
  ['pybind11-missing', 'CMake Error at cpp/pybind/CMakeLists.txt:12 (message):\n  pybind11 is not installed'],
  [
    'rust-missing',
    "error: can't find Rust compiler\n\nIf you are using an outdated pip version, it is possible a prebuilt wheel is available",
  ],
  ['rust-missing', 'Cargo, the Rust package manager, is not installed or is not on PATH.'],
  [
    'protobuf-missing',
    'Could not find `protoc` installation and this build crate cannot proceed without this knowledge.',
  ],
  [
    'torch-cuda-build-mismatch',
    'RuntimeError:\nThe detected CUDA version (12.6) mismatches the version that was used to compile\nPyTorch (13.0). Please make sure to use the same CUDA versions.',
  ],
  ['setuptools-missing', "ModuleNotFoundError: No module named 'setuptools'"],
  ['setuptools-missing', "usage: setup.py [global_opts] cmd1\nerror: invalid command 'bdist_wheel'"],
  ['setuptools-missing', "ModuleNotFoundError: No module named 'pkg_resources'"],
  [
    'setuptools-broken',
    "ImportError: cannot import name 'packaging' from 'pkg_resources' (/usr/lib/python3/dist-packages/pkg_resources/__init__.py)",
  ],
  [
    'torch-missing',
    '  File "setup.py", line 21, in <module>\n    import torch\nModuleNotFoundError: No module named \'torch\'',
  ],
  [
    'wheel-not-supported',
    'ERROR: sgl_kernel-0.0.3-cp39-abi3-manylinux2014_x86_64.whl is not a supported wheel on this platform.',
  ],
  [
    'wheel-file-missing',
    "WARNING: Requirement 'sgl_kernel-0.0.2.post14-cp310-cp310-linux_aarch64.whl' looks like a filename, but the file does not exist",
  ],
  ['python-version', "ERROR: Package 'sglang' requires a different Python: 3.8.10 not in '>=3.10'"],
  [
    'no-matching-wheel',
    'ERROR: Could not find a version that satisfies the requirement sgl-kernel==0.1.0 (from versions: none)\nERROR: No matching distribution found for sgl-kernel==0.1.0',
  ],
  [
    'pip-conflict',
    'ERROR: Cannot install a==1 and b==2 because these package versions have conflicting dependencies.\nERROR: ResolutionImpossible: for help visit',
  ],
  ['pip-hash', 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.'],
  ['externally-managed', 'error: externally-managed-environment\n\n× This environment is externally managed'],
  ['venv-missing', 'The virtual environment was not created successfully because ensurepip is not\navailable.'],
  [
    'pip-permission',
    "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/usr/local/lib/python3.10/dist-packages/x'",
  ],
  ['index-down', 'curl: (7) Failed to connect to pypi.jetson-ai-lab.dev port 443: Connection refused'],
  [
    'index-down',
    'Looking in indexes: https://pypi.jetson-ai-lab.io/jp6/cu126\nERROR: HTTP error 503 while getting https://pypi.jetson-ai-lab.io/jp6/cu126/+f/62a/1beee9f2f1470/torch-2.8.0-cp310-cp310-linux_aarch64.whl',
  ],
  [
    'index-down',
    "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0xffff8e6cec50>: Failed to establish a new connection: [Errno 113] No route to host')': /jp6/cu126/pip/",
  ],
  [
    'index-down',
    'Looking in indexes: http://jetson.webredirect.org/jp6/cu122\nERROR: Could not find a version that satisfies the requirement pip (from versions: none)\nERROR: No matching distribution found for pip',
  ],
  ['index-down', 'ERROR: 404 Client Error: Not Found for url: https://pypi.jetson-ai-lab.io/jp6/cu126/certifi/'],
  ['torch-cpu-wheel', 'AssertionError: Torch not compiled with CUDA enabled'],
  ['torch-cpu-wheel', 'torch.__version__ = 2.7.1+cpu\ntorch.cuda.is_available() = False'],
  ['torch-cpu-wheel', 'Successfully installed filelock-3.19 torch-2.8.0+cpu'],
  [
    'torch-wrong-cuda-major',
    'RuntimeError: The NVIDIA driver on your system is too old (found version 12060). Please update your GPU driver',
  ],
  ['torch-wrong-cuda-major', 'torch: 2.10.0+cu130\ntorch.cuda.is_available(): False'],
  ['torchvision-mismatch', 'RuntimeError: operator torchvision::nms does not exist'],
  [
    'torch-arch-missing',
    'UserWarning:\nOrin with CUDA capability sm_87 is not compatible with the current PyTorch installation.\nThe current PyTorch install supports CUDA capabilities sm_80 sm_90 sm_100 sm_120.',
  ],
  [
    'numpy-abi',
    'ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject',
  ],
  ['numpy-abi', 'AttributeError: _ARRAY_API not found'],
  ['numpy-abi', 'RuntimeError: Numpy is not available'],
  [
    'abi-mismatch',
    'ImportError: /x/flash_attn_2_cuda.cpython-310-aarch64-linux-gnu.so: undefined symbol: _ZN3c104cuda9SetDeviceEab',
  ],
  ['sgl-kernel-import', 'ImportError:\n[sgl_kernel] CRITICAL: Could not load any common_ops library!'],
  ['sgl-kernel-import', "ModuleNotFoundError: No module named 'sgl_kernel'"],
  [
    'sgl-kernel-arch-missing',
    'RuntimeError: FusedAddRMSNorm failed with error code no kernel image is available for execution on the device',
  ],
  [
    'sgl-kernel-arch-missing',
    '  File "/x/site-packages/sgl_kernel/elementwise.py", line 33, in rmsnorm\nRuntimeError: CUDA error: no kernel image is available for execution on the device',
  ],
  [
    'no-kernel-image',
    'Failed call to cudaGetFuncBySymbol: cudaErrorNoKernelImageForDevice: no kernel image is available for execution on the device',
  ],
  ['cuda-driver-too-old', 'RuntimeError: CUDA error: CUDA driver version is insufficient for CUDA runtime version'],
  ['cuda-unavailable', 'RuntimeError: No CUDA GPUs are available'],
  [
    'nvmap-alloc',
    'RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/opt/pytorch/c10/cuda/CUDACachingAllocator.cpp":995, please report a bug to PyTorch.',
  ],
  [
    'nvmap-alloc',
    'NvMapMemAllocInternalTagged: 1075072515 error 12\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.00 GiB.',
  ],
  [
    'cuda-oom',
    'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 224.00 MiB. GPU 0 has a total capacity of 7.44 GiB',
  ],
  [
    'cuda-oom',
    'ggml_backend_cuda_buffer_type_alloc_buffer: allocating 4096.00 MiB on device 0: cudaMalloc failed: out of memory',
  ],
  ['kv-cache-too-small', 'RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.'],
  ['gpu-permission', "NvRmMemInitNvmap failed: error Permission denied\nCan't open /dev/nvmap: Permission denied"],
  ['gpu-fault', 'RuntimeError: CUDA error: an illegal memory access was encountered'],
  [
    'flashinfer-jit',
    '  File "/x/site-packages/flashinfer/jit/cpp_ext.py", line 90, in run_ninja\nRuntimeError: Ninja build failed. Ninja output:',
  ],
  ['illegal-instruction', 'Illegal instruction (core dumped)'],
  ['missing-library', 'OSError: libcudnn.so.8: cannot open shared object file: No such file or directory'],
  ['missing-library', 'ImportError: libcudss.so.0: cannot open shared object file: No such file or directory'],
  ['missing-library', 'ImportError: libcusparseLt.so.0: cannot open shared object file: No such file or directory'],
  ['missing-library', 'OSError: libnvToolsExt.so.1: cannot open shared object file: No such file or directory'],
  [
    'missing-library',
    './llama-cli: error while loading shared libraries: libcublas.so.13: cannot open shared object file: No such file or directory',
  ],
  ['missing-library', 'ImportError: libopenblas.so.0: cannot open shared object file: No such file or directory'],
  [
    'missing-library',
    'ImportError: libcublas.so.12: cannot open shared object file\nCan not import sgl_kernel. Please check your installation.',
  ],
  ['static-tls', 'OSError: /usr/lib/aarch64-linux-gnu/libgomp.so.1: cannot allocate memory in static TLS block'],
  ['glibc-too-old', "ImportError: /lib/aarch64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by x.so)"],
  [
    'glibcxx-too-old',
    "ImportError: /x/conda/lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by x.so)",
  ],
  [
    'torchao-version',
    "ImportError: cannot import name 'int4_weight_only' from 'torchao.quantization' (/x/torchao/quantization/__init__.py)",
  ],
  ['xgrammar-import', "ImportError: cannot import name 'GrammarMatcherInitContext' from 'xgrammar'"],
  [
    'transformers-version',
    'ValueError: The checkpoint you are trying to load has model type `qwen3` but Transformers does not recognize this architecture.',
  ],
  [
    'port-in-use',
    "ERROR: [Errno 98] error while attempting to bind on address ('0.0.0.0', 30000): address already in use",
  ],
  [
    'hf-access',
    'OSError: You are trying to access a gated repo.\nMake sure to have access to it at https://huggingface.co/meta-llama/Meta-Llama-3.1-8B-Instruct.\n401 Client Error.',
  ],
  [
    'chat-template-missing',
    'ValueError: Cannot use chat template functions because tokenizer.chat_template is not set',
  ],
  ['weights-corrupt', 'safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge'],
  ['remote-code', 'ValueError: Please pass the argument `trust_remote_code=True` to allow custom code to be run.'],
  [
    'quantization-unsupported',
    "ValueError(\"type fp8e4nv not supported in this architecture. The supported fp8 dtypes are ('fp8e4b15', 'fp8e5')\")",
  ],
  [
    'nvpmodel-reboot-required',
    'NVPM WARN: Golden image context is already created\nNVPM WARN: Reboot required for changing to this power mode: 0\nNVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:',
  ],
  [
    'needs-root',
    'sudo: a terminal is required to read the password; either use the -S option to read from standard input or configure an askpass helper',
  ],
  ['needs-root', 'Error: You must be root to run this script'],
  ['needs-root', 'tee: /proc/sys/vm/drop_caches: Permission denied'],
  [
    'needs-root',
    'E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), are you root?',
  ],
  ['needs-root', 'swapon: /swapfile: swapon failed: Operation not permitted'],
  ['disk-full', 'OSError: [Errno 28] No space left on device'],
  ['disk-read-only', 'cp: cannot create regular file x: Read-only file system'],
  ['clock-wrong', 'curl: (60) SSL certificate problem: certificate is not yet valid'],
  [
    'clock-wrong',
    'E: Release file for http://ports.ubuntu.com/dists/jammy-updates/InRelease is not valid yet (invalid for another 3h 2min 1s).',
  ],
  [
    'tls-trust',
    'ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1007)',
  ],
  ['power-throttling', 'soctherm: OC ALARM 0x00000001'],
  ['apt-lock', 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1532 (unattended-upgr)'],
  [
    'apt-broken',
    'The following packages have unmet dependencies:\n nvidia-l4t-core : Depends: x but it is not going to be installed\nE: Unable to correct problems, you have held broken packages.',
  ],
  ['apt-repository', 'E: Unable to locate package nvidia-jetpack'],
  [
    'container-cuda-requirement',
    'docker: Error response from daemon: failed to create task: nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0, please update your driver to a newer version, or use an earlier cuda container: unknown.',
  ],
  ['container-runtime-missing', 'docker: Error response from daemon: unknown or invalid runtime name: nvidia.'],
  [
    'container-runtime-missing',
    'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
  ],
  [
    'docker-permission',
    'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock',
  ],
  ['wrong-platform-build', 'exec /usr/bin/bash: exec format error'],
  ['container-l4t-mismatch', 'docker: no matching manifest for linux/arm64/v8 in the manifest list entries.'],
  [
    'shared-memory',
    'ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).',
  ],
  ['device-busy', 'RuntimeError: CUDA error: all CUDA-capable devices are busy or unavailable'],
  ['flag-unknown', 'launch_server.py: error: unrecognized arguments: --torchao-confg int4wo-128'],
  ['build-oom', 'FAILED: x.cu.o\nKilled\nERROR: Failed building wheel for flash-attn'],
  ['build-oom', 'DEBUG Killed\nDEBUG [160/312] Building CUDA object vllm-flash-attn/x.cu.o\nKilled'],
  ['build-oom', "subprocess.CalledProcessError: Command '['cmake', '--build', '.']' died with <Signals.SIGKILL: 9>."],
  ['build-oom', 'make[1]: *** [CMakeFiles/Makefile2:1234: all] Killed'],
  [
    'container-cuda-requirement',
    'nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8 brand=tesla, driver>=470',
  ],
  ['flashinfer-jit', "RuntimeError: Error building extension 'batch_decode_with_kv_cache_dtype_q_f16': [1/4] c++ -MMD"],
  [
    'index-down',
    "Could not fetch URL https://pypi.jetson-ai-lab.io/jp6/cu126/torch/: There was a problem confirming the ssl certificate: HTTPSConnectionPool(host='x', port=443): Max retries exceeded - skipping",
  ],
  [
    'index-down',
    "WARNING: Retrying (Retry(total=1, connect=None, read=None, redirect=None, status=None)) after connection broken by 'ProtocolError('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))': /jp6/cu126/pip/",
  ],
  [
    'index-down',
    'error: Failed to fetch: `https://pypi.jetson-ai-lab.dev/jp6/cu126/torch/`\n  Caused by: dns error: failed to lookup address information: Name or service not known',
  ],
  ['numpy-abi', 'AttributeError: `np.float_` was removed in the NumPy 2.0 release. Use `np.float64` instead.'],
  ['numpy-abi', 'ImportError: numpy.core.multiarray failed to import'],
  [
    'nvmap-alloc',
    'NvMapMemAllocInternalTagged: 1075072515 error 12\nNvMapMemHandleAlloc: error 0\nError: CUDA error: out of memory',
  ],
  ['nvpmodel-reboot-required', 'NVPM ERROR: optMask is 1, no request for power mode'],
  ['needs-root', 'sudo: no tty present and no askpass program specified'],
  ['needs-root', 'NVPM ERROR: Error opening /sys/devices/gpu.0/power/control: 13'],
  ['needs-root', 'jetson_clocks: please run with sudo'],
  ['needs-root', 'nvidia is not in the sudoers file.  This incident will be reported.'],
  [
    'torch-wrong-cuda-major',
    '/x/torch/cuda/__init__.py:174: UserWarning: CUDA initialization: The NVIDIA driver on your system is too old (found version 12020).',
  ],
  ['torch-cpu-wheel', 'PyTorch version: 2.6.0+cpu\nIs debug build: False\nCUDA used to build PyTorch: None'],
  ['torch-cpu-wheel', 'torch                    2.9.1+cpu'],
  [
    'torch-wrong-cuda-major',
    'PyTorch version: 2.9.0+cu130\nCUDA used to build PyTorch: 13.0\nIs CUDA available: False',
  ],
  [
    'sgl-kernel-import',
    "ImportError: cannot import name 'sgl_per_token_quant_fp8' from 'sgl_kernel' (/x/sgl_kernel/__init__.py)",
  ],
  [
    'triton-ptxas',
    "LLVM ERROR: Cannot select\n'sm_110a' is not a recognized processor for this target (ignoring processor)",
  ],
  [
    'triton-ptxas',
    "FileNotFoundError: [Errno 2] No such file or directory: '/x/triton/backends/nvidia/bin/ptxas-blackwell'",
  ],
  ['nvcc-arch-list', "CMake Error: nvcc fatal   : Unsupported gpu architecture 'compute_89'"],
  ['missing-library', 'OSError: libmpi_cxx.so.40: cannot open shared object file: No such file or directory'],
  ['missing-library', 'ImportError: libcublasLt.so.13: cannot open shared object file: No such file or directory'],
  ['missing-library', 'RuntimeError: Failed to load library libcudnn_graph.so.9: cannot open shared object file'],
  ['no-kernel-image', 'RuntimeError: Error named symbol not found at line 233 in file /src/csrc/ops.cu'],
  [
    'cuda-vmm',
    'ggml_cuda_pool_vmm: cuMemAddressReserve(&pool_addr, CUDA_POOL_VMM_MAX_SIZE, 0, 0, 0) failed: out of memory',
  ],
  ['nvml-missing', 'pynvml.NVMLError_NotSupported: Not Supported'],
  ['vllm-import', "AttributeError: '_OpNamespace' 'vllm' object has no attribute 'unified_attention_with_output'"],
  ['jetson-clocks-failed', 'Error: Failed to max GPU frequency!'],
  [
    'missing-library',
    'could not start driver service: load library failed: libcuda.so.1: cannot open shared object file: no such file or directory',
  ],
  [
    'container-runtime-missing',
    'error running hook: exit status 1, stdout: , stderr: nvidia-container-cli: mount error: file creation failed',
  ],
];

export const HEALTHY: [name: string, text: string][] = [
  ['empty', ''],
  [
    'a build',
    `Cloning into 'flashinfer'...
Submodule '3rdparty/cutlass' (https://github.com/NVIDIA/cutlass.git) registered for path '3rdparty/cutlass'
-- The CXX compiler identification is GNU 11.4.0
-- Performing Test CMAKE_HAVE_LIBC_PTHREAD - Failed
-- Could NOT find Git LFS (optional)
-- Found Python: /usr/bin/python3 (found version "3.10.12") found components: Interpreter Development.Module
-- Looking for pthread_create in pthreads - not found
-- Found CUDAToolkit: /usr/local/cuda/include (found version "12.6.68")
CMake Deprecation Warning at CMakeLists.txt:1 (cmake_minimum_required):
  Compatibility with CMake < 3.10 will be removed from a future version of CMake.
CMake Warning (dev) at CMakeLists.txt:7 (FetchContent_Populate):
  Calling FetchContent_Populate(repo) is deprecated, call FetchContent_MakeAvailable(repo) instead.
[1/94] Building CUDA object CMakeFiles/flash_ops.dir/error_handler.cu.o
/x/a.cuh(33): warning #177-D: variable "error" was declared but never referenced
nvcc warning : Support for offline compilation for architectures prior to '<compute/sm/lto>_75' will be removed in a future release
ptxas info    : Used 168 registers, used 1 barriers
[94/94] Linking CXX shared library libflash_ops.so
0 errors, 12 warnings
Successfully built sgl-kernel
Successfully installed sgl-kernel-0.3.9 torch-2.8.0 numpy-1.26.4`,
  ],
  [
    'pip that tried twice',
    `Looking in indexes: https://pypi.jetson-ai-lab.io/jp6/cu126/+simple/
WARNING: Retrying (Retry(total=4, connect=None, read=None, redirect=None, status=None)) after connection broken by 'RemoteDisconnected('Remote end closed')': /simple/torch/
Collecting torch
  Downloading https://pypi.jetson-ai-lab.io/jp6/cu126/+f/62a/torch-2.8.0-cp310-cp310-linux_aarch64.whl (213.0 MB)
Requirement already satisfied: numpy<2 in /usr/lib/python3/dist-packages (1.26.4)
WARNING: Running pip as the 'root' user can result in broken permissions and conflicting behaviour with the system package manager
Successfully installed torch-2.8.0`,
  ],
  [
    'a launch',
    `[2026-01-26 21:31:01] server_args=ServerArgs(model_path='deepseek-ai/DeepSeek-R1-Distill-Llama-8B', port=30000, mem_fraction_static=0.8, trust_remote_code=False, attention_backend='flashinfer', torchao_config='', grammar_backend='xgrammar')
[2026-01-26 21:31:20 TP0] Init torch distributed begin.
[2026-01-26 21:31:21 TP0] Load weight begin. avail mem=54.21 GB
Loading safetensors checkpoint shards: 100% Completed | 2/2 [00:10<00:00,  5.01s/it]
[2026-01-26 21:31:40 TP0] Load weight end. type=LlamaForCausalLM, dtype=torch.float16, avail mem=38.90 GB
[2026-01-26 21:31:41 TP0] KV Cache is allocated. K size: 13.27 GB, V size: 13.27 GB.
[2026-01-26 21:31:41 TP0] max_total_num_tokens=217465, max_prefill_tokens=16384, max_running_requests=2049, context_len=8192
[2026-01-26 21:31:55 TP0] Capture cuda graph begin. This can take up to several minutes.
[2026-01-26 21:32:00] INFO:     Uvicorn running on http://127.0.0.1:30000 (Press CTRL+C to quit)
[2026-01-26 21:32:18 TP0] Decode batch. #running-req: 1, #token: 1351, token usage: 0.01, gen throughput (token/s): 11.19, #queue-req: 0
[2026-01-26 21:32:19] INFO:     127.0.0.1:51234 - "POST /v1/chat/completions HTTP/1.1" 200 OK
The server is fired up and ready to roll!`,
  ],
  [
    'a chat about errors',
    `user: what does "error" mean? assistant: An error is a mistake; to kill a process, send it a signal.
0 failed, 120 passed, 0 errors
grep: no error found
-- Installing: /usr/local/lib/libcudart_shim.so
torch 2.8.0 cuda 12.6 available True arch ['sm_87']`,
  ],
  [
    'tegrastats',
    'RAM 5012/62841MB (lfb 3x4MB) SWAP 0/31420MB (cached 0MB) CPU [2%@729,0%@729] EMC_FREQ 0%@3199 GR3D_FREQ 0%@[305] cpu@48.5C VDD_GPU_SOC 2400mW/2400mW',
  ],
  ['nvpmodel', 'NVPM WARN: fan mode is not set!\nNV Power Mode: MAXN\n0'],
  [
    'apt',
    `Reading package lists... Done
Get:1 https://repo.download.nvidia.com/jetson/common r36.4 InRelease [2,555 B]
0 upgraded, 0 newly installed, 0 to remove and 12 not upgraded.
Setting up nvidia-jetpack (6.2.1+b38) ...
Processing triggers for libc-bin (2.35-0ubuntu3.8) ...`,
  ],
  [
    'commands echoed by a script',
    `+ git submodule update --init --recursive
+ export CMAKE_ARGS=-DCMAKE_POLICY_VERSION_MINIMUM=3.5
+ python3 -m sglang.launch_server --model-path x --trust-remote-code --mem-fraction-static 0.8 --attention-backend flashinfer
+ sudo nvpmodel -q
ENV HF_HUB_ENABLE_HF_TRANSFER=1
+ docker run --runtime nvidia --gpus all x`,
  ],
  [
    'CMake that looks for what may be absent',
    `-- Could NOT find OpenMP_CXX (missing: OpenMP_CXX_FLAGS OpenMP_CXX_LIB_NAMES)
-- Could NOT find Protobuf (missing: Protobuf_LIBRARIES Protobuf_INCLUDE_DIR)
-- Could NOT find CUDNN (missing: CUDNN_LIBRARY_PATH)
-- Performing Test HAVE_MMAP - Failed
-- Looking for cudnn.h - not found
-- USE_CUDNN is set to 0. Compiling without cuDNN support
-- checking for ninja... /usr/bin/ninja
CMake Warning (dev) at x.cmake:3 (find_package):
  Policy CMP0146 is not set: The FindCUDA module is removed.
-- Configuring done
-- Generating done`,
  ],
  [
    'warnings of a launch',
    `W0123 21:00:00 Skipping import of cpp extensions due to incompatible torch version 2.8.0 for torchao version 0.14.1
A matching Triton is not available, some optimizations will not be enabled
Token indices sequence length is longer than the specified maximum sequence length for this model (9000 > 8192).
/x/transformers/utils/hub.py: FutureWarning: Using TRANSFORMERS_CACHE is deprecated
[W] CUDNN_STATUS_SUCCESS
DeprecationWarning: pkg_resources is deprecated as an API`,
  ],
  [
    'nvidia-smi -q',
    'SW Thermal Slowdown               : Not Active\nHW Power Brake Slowdown            : Not Active\nSW Power Cap                      : Not Active',
  ],
  [
    'a boot log',
    'tegra_soctherm 700e2000.thermal-sensor: Initialized\nthermal_sys: Registered thermal governor step_wise\nEXT4-fs (nvme0n1p1): mounted filesystem with ordered data mode. Quota mode: none.\nzram: Added device: zram0',
  ],
];
