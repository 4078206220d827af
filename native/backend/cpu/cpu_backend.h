// The CPU backend: fp32 activations, weights packed (quantised) or left where they are mapped (plain).
#pragma once
#include <memory>

#include "backend/backend.h"
#include "model/load.h"

namespace jsg::cpu {

// `n_threads` 0: one a usable core. Throws E_DEVICE_UNSUITABLE.
std::unique_ptr<Backend> make_cpu_backend(const DecoderShape& shape, int n_threads, KvDType kv_dtype);

struct CpuInfo {
  const char* isa;
  int n_threads;
};
CpuInfo cpu_info(const Backend& backend);

}  // namespace jsg::cpu
