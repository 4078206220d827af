// From a validated tensor table to a model ready to run.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/model.h"

namespace jsg {

enum class BackendKind : uint8_t { kCpu, kCuda };
// kF16: 16 bits; on the CPU fp16, in the CUDA backend the type of the activations. The CPU backend has kF32 and kF16,
// the CUDA backend all but kF32.
enum class KvDType : uint8_t { kF32, kF16, kFp8E4M3, kFp8E5M2, kInt8 };

struct LoadOptions {
  BackendKind backend = BackendKind::kCpu;
  DType activations = DType::kF16;   // kF16 or kBF16; of the CUDA backend, which also keeps weights in it
  bool reference_attention = false;  // the plain attention kernels instead of the fast ones; CUDA
  bool use_graphs = true;            // record decode steps; CUDA
  bool int8_prompts = false;         // prompts multiply codes of 4 or 8 bits with activations in int8; CUDA
  ModelConfig config;
  std::vector<std::string> files;   // absolute paths
  std::vector<TensorInfo> tensors;  // spans are re-checked against the files
  bool dummy = false;               // no files: every tensor filled with seeded random numbers
  KvDType kv_dtype = KvDType::kF16;
  int64_t max_total_tokens = 0;  // size of the KV pool; rounded up to whole blocks
  int n_threads = 0;             // 0: one a core of the affinity mask and cgroup quota
  // Of a step: what is made ready for it when loading; 0: nothing.
  int max_rows = 0;
  int max_logit_rows = 0;
  int max_running = 0;  // sequences
};

struct LoadedModel {
  std::unique_ptr<Model> model;
  int n_blocks;     // of kBlockSize tokens
  std::string isa;  // as in available_isas()
  int n_threads;
  uint64_t weight_bytes;  // read for each decoded token
  uint64_t kv_bytes_per_token;
  int n_graphs = 0;            // decode steps recorded
  double warm_up_seconds = 0;  // in which they were, and a prompt was run
};

// Throws E_MODEL_INVALID (missing tensor, wrong shape, span outside its file), E_IO_FAILED, E_OUT_OF_MEMORY,
// E_DEVICE_UNSUITABLE (no such backend or device, or a KV type that the backend has not).
// `progress` gets 0..1, from the calling thread.
LoadedModel load_model(const LoadOptions& options, const std::function<void(double)>& progress);

// The GPU that the CUDA backend would use.
struct CudaDeviceInfo {
  std::string name;
  int sm;           // 87, 90, ...
  bool integrated;  // shares the system's memory (Jetson): what is free is what /proc/meminfo says is available
  uint64_t total_bytes;
  uint64_t free_bytes;
};
// Whether this build has a CUDA backend at all.
bool has_cuda_backend();
// Empty without a CUDA backend, a driver or a device.
std::optional<CudaDeviceInfo> cuda_device_info();

// Instruction sets of this machine that the CPU backend has kernels for, best first. $JSG_ISA picks another than the
// first, for tests.
std::vector<std::string> available_isas();

// Best of a few passes of all threads reading `bytes` of memory, GB/s (1e9).
double measure_read_bandwidth(size_t bytes, int n_threads);
// The same of the GPU's memory. Throws E_DEVICE_UNSUITABLE where there is none.
double measure_cuda_read_bandwidth(size_t bytes);

}  // namespace jsg
