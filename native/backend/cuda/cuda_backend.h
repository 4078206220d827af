// The CUDA backend: weights, activations and KV cache in fp16 or bf16 (KV also in 8 bits), the residual stream in fp32.
#pragma once
#include <memory>
#include <string>

#include "backend/backend.h"

namespace jsg::cuda {

enum class Precision { kF16, kBF16 };
// How attention runs: the fast paged kernels, or the plain reference (unfused, full softmax).
enum class AttentionPath { kFast, kReference };

// How the KV cache stores a value: in the type of the activations, as fp8 without a scale (values beyond its range
// become its largest), or as int8 with a scale for each token's K and one for its V, of each KV head.
enum class KvFormat { k16Bit, kE4M3, kE5M2, kInt8 };

struct CudaOptions {
  Precision precision = Precision::kF16;
  KvFormat kv_format = KvFormat::k16Bit;
  AttentionPath attention = AttentionPath::kFast;
  bool use_graphs = true;
  bool int8_prompts = false;  // products of codes with more than 64 rows take activations in int8
};

struct CudaDevice {
  std::string name;
  int sm;           // 87, 90, ...
  bool integrated;  // shares the system's memory (Jetson)
  uint64_t total_bytes;
  uint64_t free_bytes;
};

// Devices this process can use; empty without a driver.
int cuda_device_count();
// Throws E_DEVICE_UNSUITABLE.
CudaDevice cuda_device();
// Best of a few passes over `bytes` of device memory, GB/s (1e9 bytes).
double measure_read_bandwidth(size_t bytes);
std::unique_ptr<Backend> make_cuda_backend(const DecoderShape& shape, const CudaOptions& options);

}  // namespace jsg::cuda
