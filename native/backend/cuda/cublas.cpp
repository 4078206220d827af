#include "backend/cuda/cublas.h"

#include <dlfcn.h>

#include <cstdint>

namespace jsg::cuda {
namespace {

// Values of cublas_api.h and library_types.h, the same in CUDA 12 and 13.
constexpr int kOpN = 0, kOpT = 1, kCompute32F = 68, kDefaultAlgorithm = -1;
constexpr size_t kWorkspaceBytes = size_t{32} << 20;  // what Hopper's kernels ask for

int data_type(ElementType type) {
  switch (type) {
    case ElementType::kF16:
      return 2;
    case ElementType::kBF16:
      return 14;
    default:
      return 0;
  }
}

void check_cublas(int status, const char* what) {
  if (status != 0)
    throw Error("E_RUNTIME_FAILED", std::string("cuBLAS: ") + what + " failed with status " + std::to_string(status));
}

}  // namespace

struct Cublas::Functions {
  void* library = nullptr;
  int (*create)(void**) = nullptr;
  int (*destroy)(void*) = nullptr;
  int (*set_stream)(void*, cudaStream_t) = nullptr;
  int (*set_workspace)(void*, void*, size_t) = nullptr;
  int (*gemm_ex)(void*, int, int, int, int, int, const void*, const void*, int, int, const void*, int, int, const void*,
                 void*, int, int, int, int) = nullptr;
};

std::unique_ptr<Cublas> Cublas::open(cudaStream_t stream) {
  auto functions = std::make_unique<Functions>();
  for (const char* name : {"libcublas.so.13", "libcublas.so.12", "libcublas.so"}) {
    functions->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (functions->library) break;
  }
  if (!functions->library) return nullptr;
  auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(functions->library, name));
    return function != nullptr;
  };
  if (!find(functions->create, "cublasCreate_v2") || !find(functions->destroy, "cublasDestroy_v2") ||
      !find(functions->set_stream, "cublasSetStream_v2") || !find(functions->set_workspace, "cublasSetWorkspace_v2") ||
      !find(functions->gemm_ex, "cublasGemmEx")) {
    dlclose(functions->library);
    return nullptr;
  }
  std::unique_ptr<Cublas> cublas(new Cublas);
  cublas->functions_ = std::move(functions);
  check_cublas(cublas->functions_->create(&cublas->handle_), "creating a handle");
  check_cublas(cublas->functions_->set_stream(cublas->handle_, stream), "setting the stream");
  cublas->workspace_.grow(kWorkspaceBytes);
  check_cublas(cublas->functions_->set_workspace(cublas->handle_, cublas->workspace_.get(), kWorkspaceBytes),
               "setting the workspace");
  return cublas;
}

Cublas::~Cublas() {
  if (handle_) (void)functions_->destroy(handle_);
}

void Cublas::product(const void* weight, const void* x, ElementType in, void* out, ElementType out_type, int m, int n,
                     int k, int out_stride, bool accumulate) {
  const float alpha = 1.0f, beta = accumulate ? 1.0f : 0.0f;
  // Row-major (n, m) is column-major (m, n).
  check_cublas(functions_->gemm_ex(handle_, kOpT, kOpN, m, n, k, &alpha, weight, data_type(in), k, x, data_type(in), k,
                                   &beta, out, data_type(out_type), out_stride, kCompute32F, kDefaultAlgorithm),
               "a matrix product");
}

}  // namespace jsg::cuda
