#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/attention_plan.h"
#include "backend/cpu/dequant.h"
#include "backend/cpu/features.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/pack.h"
#include "backend/cpu/thread_pool.h"

namespace jsg::cpu {
namespace {

// Below this many elements an elementwise loop is not worth waking the other threads.
constexpr int64_t kSerialElems = 8192;

struct FloatBuffer final : Buffer {
  Memory memory;
  float* data() const { return reinterpret_cast<float*>(memory.data()); }
};

struct RowTable final : Table {
  WeightView view;
  size_t row_bytes;
  std::vector<float> values;  // of a single row, as fp32
};

// Consecutive output features of one dtype.
struct Part {
  bool packed;
  PackedWeight quantized;
  PlainWeight plain;
  int64_t first_row;
  int64_t units;  // blocks of kRows rows
};

struct StackedLinear final : Linear {
  std::vector<Part> parts;
  std::vector<Memory> memories;
  std::vector<float> bias;
  int64_t units = 0;
  bool any_packed = false;
};

float* floats(Buffer& buffer) { return static_cast<FloatBuffer&>(buffer).data(); }
const float* floats(const Buffer& buffer) { return static_cast<const FloatBuffer&>(buffer).data(); }
const float* row_values(const Table& table) { return static_cast<const RowTable&>(table).values.data(); }

PlainType plain_type(DType dtype) {
  if (dtype == DType::kF16) return PlainType::kF16;
  return dtype == DType::kBF16 ? PlainType::kBF16 : PlainType::kF32;
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(int n_threads, KvDType kv_dtype) : kernels_(select_kernels()), pool_(n_threads) {
    kv_.f16 = kv_dtype == KvDType::kF16;
  }

  CpuInfo info() const { return {kernels_.isa, pool_.size()}; }

  std::unique_ptr<Linear> make_linear(std::span<const WeightView> stacked, std::vector<float> bias) override {
    auto linear = std::make_unique<StackedLinear>();
    linear->in_features = stacked[0].cols;
    linear->bias = std::move(bias);
    for (const WeightView& view : stacked) {
      Part part{};
      part.first_row = linear->out_features;
      part.packed = is_quantized(view.dtype);
      part.units = (view.rows + kRows - 1) / kRows;
      if (part.packed) {
        part.quantized = packed_shape(view);
        Memory memory(part.quantized.row_block_bytes() * static_cast<size_t>(part.units));
        uint8_t* data = memory.data();
        pool_.run(part.units, 4,
                  [&](int64_t begin, int64_t end, int) { pack_blocks(view, part.quantized, begin, end, data); });
        part.quantized.data = data;
        linear->bytes += memory.bytes();
        linear->memories.push_back(std::move(memory));
        linear->any_packed = true;
      } else {
        part.plain = {view.data, static_cast<int>(view.rows), static_cast<int>(view.cols), plain_type(view.dtype)};
        linear->bytes += static_cast<uint64_t>(view.rows) * view.cols * dtype_traits(view.dtype).block_bytes;
      }
      linear->out_features += view.rows;
      linear->units += part.units;
      linear->parts.push_back(part);
    }
    return linear;
  }

  std::unique_ptr<Table> make_table(const WeightView& view) override {
    auto table = std::make_unique<RowTable>();
    const DTypeTraits& traits = dtype_traits(view.dtype);
    table->rows = view.rows;
    table->cols = view.cols;
    table->view = view;
    table->row_bytes = static_cast<size_t>(view.cols / traits.block_elems) * traits.block_bytes;
    if (view.rows == 1) {
      table->values.resize(view.cols);
      dequantize_row(view.dtype, view.data, view.cols, table->values.data());
    }
    return table;
  }

  void make_kv_cache(const AttentionShape& shape, int n_blocks) override {
    shape_ = shape;
    kv_.n_kv_heads = shape.n_kv_heads;
    kv_.head_dim = shape.head_dim;
    kv_.v_stride = (shape.head_dim + 15) / 16 * 16;
    cache_.clear();
    for (int layer = 0; layer < shape.n_layers; ++layer) cache_.emplace_back(kv_.block_bytes() * n_blocks);
  }

  uint64_t kv_bytes_per_token() const override { return kv_.block_bytes() / kBlockSize * shape_.n_layers; }

  void reserve(std::unique_ptr<Buffer>& buffer, int64_t rows, int64_t dim) override {
    const size_t bytes = static_cast<size_t>(rows * dim) * sizeof(float);
    if (buffer && static_cast<FloatBuffer&>(*buffer).memory.bytes() >= bytes) return;
    auto grown = std::make_unique<FloatBuffer>();
    grown->memory = Memory(bytes);
    buffer = std::move(grown);
  }

  void begin_step(const Batch& batch, std::span<const float> cos, std::span<const float> sin) override {
    if (!pinned_) pool_.pin_caller();
    pinned_ = true;
    batch_ = &batch;
    n_rows_ = static_cast<int64_t>(batch.token_ids.size());
    cos_ = cos;
    sin_ = sin;
    slots_.resize(n_rows_);
    for (const SequenceSlice& slice : batch.slices) {
      for (int row = slice.first_row; row < slice.first_row + slice.n_rows; ++row) {
        const int position = batch.positions[row];
        slots_[row] = {slice.block_table[position / kBlockSize], position % kBlockSize};
      }
    }
    plan_.build(batch, shape_, kv_, pool_.size());
  }

  void embed(const Table& table, Buffer& out) override {
    const auto& rows = static_cast<const RowTable&>(table);
    each_row(n_rows_, table.cols, [&](int64_t row) {
      const uint8_t* source = rows.view.data + static_cast<size_t>(batch_->token_ids[row]) * rows.row_bytes;
      dequantize_row(rows.view.dtype, source, rows.cols, floats(out) + row * rows.cols);
    });
  }

  void rms_norm(const Buffer& x, const Table& weight, float eps, Buffer& out) override {
    const int64_t dim = weight.cols;
    each_row(n_rows_, dim, [&](int64_t row) {
      kernels_.rms_norm(floats(x) + row * dim, row_values(weight), static_cast<int>(dim), eps, floats(out) + row * dim);
    });
  }

  void add_rms_norm(Buffer& x, const Buffer& delta, const Table& weight, float eps, Buffer& out) override {
    const int64_t dim = weight.cols;
    each_row(n_rows_, dim, [&](int64_t row) {
      kernels_.add(floats(x) + row * dim, floats(delta) + row * dim, static_cast<int>(dim));
      kernels_.rms_norm(floats(x) + row * dim, row_values(weight), static_cast<int>(dim), eps, floats(out) + row * dim);
    });
  }

  void linear(const Buffer& x, const Linear& weight, Buffer& out) override {
    product(floats(x), n_rows_, static_cast<const StackedLinear&>(weight), floats(out));
  }

  void rope_append(int layer, Buffer& qkv, const Table* q_norm, const Table* k_norm, float eps,
                   bool interleaved) override {
    const int dim = shape_.head_dim, n_q = shape_.n_heads, n_kv = shape_.n_kv_heads;
    const int64_t stride = static_cast<int64_t>(n_q + 2 * n_kv) * dim;
    each_row(n_rows_, stride, [&](int64_t row) {
      float* heads = floats(qkv) + row * stride;
      for (int head = 0; head < n_q + n_kv; ++head) {
        float* h = heads + static_cast<int64_t>(head) * dim;
        if (const Table* norm = head < n_q ? q_norm : k_norm) kernels_.rms_norm(h, row_values(*norm), dim, eps, h);
        rotate(h, row, interleaved);
      }
      const auto [block, slot] = slots_[row];
      uint8_t* base = cache_[layer].data() + static_cast<size_t>(block) * kv_.block_bytes();
      for (int head = 0; head < n_kv; ++head) {
        const float* k = heads + static_cast<int64_t>(n_q + head) * dim;
        kernels_.store_kv(kv_, k, k + static_cast<int64_t>(n_kv) * dim,
                          base + head * kv_.head_elems() * kv_.elem_bytes(), slot);
      }
    });
  }

  void attention(int layer, const Buffer& qkv, Buffer& out) override {
    const uint8_t* cache = cache_[layer].data();
    pool_.run(plan_.size(), 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        kernels_.attention(kv_, plan_.task(i, floats(qkv), cache));
        plan_.finish(i, floats(out));
      }
    });
    plan_.merge(floats(out));
  }

  void silu_mul(const Buffer& gate_up, int64_t dim, Buffer& out) override {
    each_row(n_rows_, 4 * dim, [&](int64_t row) {
      const float* gate = floats(gate_up) + row * 2 * dim;
      kernels_.silu_mul(gate, gate + dim, static_cast<int>(dim), floats(out) + row * dim);
    });
  }

  std::span<float> logits(const Buffer& x, const Buffer& delta, const Table& norm, float eps,
                          const Linear& head) override {
    const auto& weight = static_cast<const StackedLinear&>(head);
    const size_t n = batch_->logit_rows.size(), dim = static_cast<size_t>(norm.cols);
    final_.resize(n * dim);
    logits_.resize(n * static_cast<size_t>(head.out_features));
    for (size_t i = 0; i < n; ++i) {
      float* row = final_.data() + i * dim;
      const size_t source = static_cast<size_t>(batch_->logit_rows[i]) * dim;
      std::memcpy(row, floats(x) + source, dim * sizeof(float));
      kernels_.add(row, floats(delta) + source, static_cast<int>(dim));
      kernels_.rms_norm(row, row_values(norm), static_cast<int>(dim), eps, row);
    }
    product(final_.data(), static_cast<int64_t>(n), weight, logits_.data());
    return logits_;
  }

 private:
  template <class F>
  void each_row(int64_t rows, int64_t dim, F&& f) {
    const int64_t chunk = rows * dim <= kSerialElems ? rows : std::max<int64_t>(1, rows / (4 * pool_.size()));
    pool_.run(rows, chunk, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) f(row);
    });
  }

  void rotate(float* head, int64_t row, bool interleaved) const {
    const int half = shape_.head_dim / 2;
    const float* cos = cos_.data() + row * half;
    const float* sin = sin_.data() + row * half;
    const int step = interleaved ? 2 : 1, partner = interleaved ? 1 : half;
    for (int i = 0; i < half; ++i) {
      float& a = head[i * step];
      float& b = head[i * step + partner];
      const float rotated = a * cos[i] - b * sin[i];
      b = a * sin[i] + b * cos[i];
      a = rotated;
    }
  }

  // Activations (n, cols) as XGroups, tile by tile (see Kernels::packed_linear).
  const XGroup* quantize(const float* x, int64_t n, int64_t cols) {
    const int64_t groups = cols / kGroup;
    x_groups_.resize(static_cast<size_t>(n * groups));
    each_row(n, cols, [&](int64_t row) {
      const int64_t tile = row / kTile * kTile, tile_rows = std::min<int64_t>(kTile, n - tile);
      XGroup* first = x_groups_.data() + tile * groups + (row - tile);
      kernels_.quantize(x + row * cols, static_cast<int>(cols), first, static_cast<size_t>(tile_rows));
    });
    return x_groups_.data();
  }

  // out (n, out_features) = x (n, in_features) W^T + b
  void product(const float* x, int64_t n, const StackedLinear& weight, float* out) {
    if (n == 0) return;
    const XGroup* groups = weight.any_packed ? quantize(x, n, weight.in_features) : nullptr;
    const size_t stride = static_cast<size_t>(weight.out_features);
    const int64_t chunk = std::max<int64_t>(1, weight.units / (8 * pool_.size()));
    pool_.run(weight.units, chunk, [&](int64_t begin, int64_t end, int) {
      int64_t first_unit = 0;
      for (const Part& part : weight.parts) {
        const int64_t from = std::max(begin, first_unit) - first_unit,
                      to = std::min(end, first_unit + part.units) - first_unit;
        first_unit += part.units;
        if (from >= to) continue;
        if (part.packed) {
          kernels_.packed_linear(part.quantized, static_cast<int>(from), static_cast<int>(to), groups,
                                 static_cast<int>(n), out + part.first_row, stride);
        } else {
          const int64_t last = std::min<int64_t>(to * kRows, part.plain.rows);
          kernels_.plain_linear(part.plain, static_cast<int>(from * kRows), static_cast<int>(last), x,
                                static_cast<int>(n), out + part.first_row, stride);
        }
      }
    });
    if (!weight.bias.empty()) {
      each_row(n, weight.out_features, [&](int64_t row) {
        kernels_.add(out + static_cast<size_t>(row) * stride, weight.bias.data(), static_cast<int>(stride));
      });
    }
  }

  const Kernels& kernels_;
  ThreadPool pool_;
  bool pinned_ = false;
  AttentionShape shape_{};
  KvLayout kv_{};
  std::vector<Memory> cache_;  // a layer each: (n_blocks) blocks

  // Of the current step.
  const Batch* batch_ = nullptr;
  int64_t n_rows_ = 0;
  std::span<const float> cos_, sin_;
  struct Slot {
    int32_t block;
    int slot;
  };
  std::vector<Slot> slots_;
  AttentionPlan plan_;
  std::vector<XGroup> x_groups_;
  std::vector<float> final_, logits_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int n_threads, KvDType kv_dtype) {
  return std::make_unique<CpuBackend>(n_threads, kv_dtype);
}

CpuInfo cpu_info(const Backend& backend) { return static_cast<const CpuBackend&>(backend).info(); }

}  // namespace jsg::cpu
