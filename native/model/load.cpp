#include "model/load.h"

#include "backend/cpu/bandwidth.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/features.h"
#ifdef JSG_CUDA
#include "backend/cuda/cuda_backend.h"
#endif
#include "error.h"
#include "model/decoder.h"
#include "model/warm_up.h"

namespace jsg {
namespace {

constexpr int kMaxHeadDim = 512;

void check(const ModelConfig& c) {
  auto require = [](bool ok, const char* what) {
    if (!ok) throw Error("E_MODEL_INVALID", std::string("model config: ") + what);
  };
  require(c.n_layers > 0 && c.hidden_size > 0 && c.intermediate_size > 0 && c.vocab_size > 0, "sizes must be positive");
  require(c.n_heads > 0 && c.n_kv_heads > 0 && c.n_heads % c.n_kv_heads == 0, "heads must be a multiple of KV heads");
  require(c.head_dim > 0 && c.head_dim % 2 == 0 && c.head_dim <= kMaxHeadDim, "head_dim must be even and at most 512");
  require(c.rope_theta > 0 && c.rope_factor > 0 && c.rope_original_context > 0, "rope parameters must be positive");
  require(c.sliding_window >= 0, "sliding_window must not be negative");
}

#ifdef JSG_CUDA
cuda::KvFormat kv_format(KvDType dtype) {
  switch (dtype) {
    case KvDType::kF32:
      throw Error("E_DEVICE_UNSUITABLE", "the CUDA backend keeps KV in 16 or 8 bits, not in fp32");
    case KvDType::kF16:
      return cuda::KvFormat::k16Bit;
    case KvDType::kFp8E4M3:
      return cuda::KvFormat::kE4M3;
    case KvDType::kFp8E5M2:
      return cuda::KvFormat::kE5M2;
    case KvDType::kInt8:
      return cuda::KvFormat::kInt8;
  }
  throw Error("E_DEVICE_UNSUITABLE", "unknown type of KV");
}
#endif

// The CPU computes from mapped weights; a GPU that shares its memory with the page cache must not keep them twice.
WeightUse weight_use(BackendKind backend) {
  if (backend == BackendKind::kCpu) return WeightUse::kInPlace;
  const std::optional<CudaDeviceInfo> device = cuda_device_info();
  return device && device->integrated ? WeightUse::kCopiedTight : WeightUse::kCopied;
}

}  // namespace

LoadedModel load_model(const LoadOptions& options, const std::function<void(double)>& progress) {
  check(options.config);
  const int64_t n_blocks = (options.max_total_tokens + kBlockSize - 1) / kBlockSize;
  if (n_blocks < 1 || n_blocks > INT32_MAX) throw Error("E_MODEL_INVALID", "the KV pool must hold at least one token");
  const WeightUse use = weight_use(options.backend);
  auto weights =
      options.dummy ? Weights::dummy(options.tensors, use) : Weights::map_files(options.files, options.tensors, use);
  const ModelConfig& c = options.config;
  const DecoderShape shape{c.n_layers, c.hidden_size, c.intermediate_size, c.n_heads,          c.n_kv_heads,
                           c.head_dim, c.vocab_size,  c.sliding_window,    c.rope_interleaved, c.rms_norm_eps};
  std::unique_ptr<Backend> backend;
  std::string isa;
  int n_threads = 1;
  if (options.backend == BackendKind::kCuda) {
#ifdef JSG_CUDA
    isa = "sm_" + std::to_string(cuda::cuda_device().sm);
    backend = cuda::make_cuda_backend(
        shape, {options.activations == DType::kBF16 ? cuda::Precision::kBF16 : cuda::Precision::kF16,
                kv_format(options.kv_dtype),
                options.reference_attention ? cuda::AttentionPath::kReference : cuda::AttentionPath::kFast,
                options.use_graphs, options.int8_prompts});
#else
    throw Error("E_DEVICE_UNSUITABLE", "this build has no CUDA backend: it was compiled without nvcc");
#endif
  } else {
    if (options.kv_dtype != KvDType::kF32 && options.kv_dtype != KvDType::kF16) {
      throw Error("E_DEVICE_UNSUITABLE", "the CPU backend keeps KV in fp16 or fp32, not in 8 bits");
    }
    backend = cpu::make_cpu_backend(shape, options.n_threads, options.kv_dtype);
    const cpu::CpuInfo info = cpu::cpu_info(*backend);
    isa = info.isa;
    n_threads = info.n_threads;
  }
  const int max_rows = static_cast<int>(std::min<int64_t>(options.max_rows, n_blocks * kBlockSize));
  backend->reserve_steps(max_rows, std::min(max_rows, options.max_logit_rows));
  auto decoder = std::make_unique<Decoder>(options.config, std::move(weights), std::move(backend),
                                           static_cast<int>(n_blocks), progress);
  const uint64_t weight_bytes = decoder->weight_bytes();
  const uint64_t kv_bytes = decoder->backend().kv_bytes_per_token();
  const WarmUp ready = warm_up(*decoder, static_cast<int>(n_blocks), max_rows, options.max_running);
  return {std::move(decoder), static_cast<int>(n_blocks), isa, n_threads, weight_bytes, kv_bytes, ready.n_graphs,
          ready.seconds};
}

#ifdef JSG_CUDA
bool has_cuda_backend() { return true; }

std::optional<CudaDeviceInfo> cuda_device_info() {
  if (cuda::cuda_device_count() == 0) return {};
  const cuda::CudaDevice device = cuda::cuda_device();
  return CudaDeviceInfo{device.name, device.sm, device.integrated, device.total_bytes, device.free_bytes};
}

double measure_cuda_read_bandwidth(size_t bytes) {
  (void)cuda::cuda_device();
  return cuda::measure_read_bandwidth(bytes);
}
#else
bool has_cuda_backend() { return false; }

std::optional<CudaDeviceInfo> cuda_device_info() { return {}; }

double measure_cuda_read_bandwidth(size_t) {
  throw Error("E_DEVICE_UNSUITABLE", "this build has no CUDA backend: it was compiled without nvcc");
}
#endif

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const cpu::Kernels* kernels : cpu::available_kernels()) names.emplace_back(kernels->isa);
  return names;
}

double measure_read_bandwidth(size_t bytes, int n_threads) { return cpu::measure_read_bandwidth(bytes, n_threads); }

}  // namespace jsg
