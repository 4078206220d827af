#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>

#include "backend/cpu/attention_plan.h"
#include "backend/cpu/features.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/pack.h"
#include "backend/cpu/thread_pool.h"
#include "backend/dequant.h"

namespace jsg::cpu {
namespace {

// Below this many elements an elementwise loop is not worth waking the other threads.
constexpr int64_t kSerialElems = 8192;

// Values of the current step, in memory that grows and never shrinks; growing loses the content.
template <class T>
class Buffer {
 public:
  void resize(int64_t rows, int64_t dim) {
    const size_t bytes = static_cast<size_t>(rows * dim) * sizeof(T);
    if (memory_.bytes() < bytes) memory_ = Memory(bytes);
  }
  // As resize(), and makes it resident; false: there is not so much memory.
  bool reserve(int64_t rows, int64_t dim) {
    resize(rows, dim);
    return memory_.commit();
  }
  T* data() const { return reinterpret_cast<T*>(memory_.data()); }

 private:
  Memory memory_;
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
  std::vector<float> bias;
  int64_t units = 0;
  bool any_packed = false;
  bool int8_x = false;  // activations are quantised to int8 for it
};

const float* row_values(const Table& table) { return static_cast<const RowTable&>(table).values.data(); }

PlainType plain_type(DType dtype) {
  if (dtype == DType::kF16) return PlainType::kF16;
  return dtype == DType::kBF16 ? PlainType::kBF16 : PlainType::kF32;
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(const DecoderShape& shape, int n_threads, KvDType kv_dtype)
      : kernels_(select_kernels()),
        pool_(n_threads),
        shape_(shape),
        kv_{shape.n_kv_heads, shape.head_dim, (shape.head_dim + 15) / 16 * 16, kv_dtype == KvDType::kF16} {}

  CpuInfo info() const { return {kernels_.isa, pool_.size()}; }

  std::unique_ptr<Linear> make_linear(std::span<const WeightView> stacked, std::vector<float> bias) override {
    auto linear = std::make_unique<StackedLinear>();
    linear->in_features = stacked[0].cols;
    linear->bias = std::move(bias);
    for (const WeightView& view : stacked) {
      Part part{};
      part.first_row = linear->out_features;
      part.packed = is_quantized(view.type);
      part.units = (view.rows + kRows - 1) / kRows;
      if (part.packed) {
        part.quantized = packed_shape(view);
        const size_t bytes = part.quantized.row_block_bytes() * static_cast<size_t>(part.units);
        uint8_t* data = weights_.allocate(bytes);
        load(part.units, 4, [&](int64_t begin, int64_t end) { pack_blocks(view, part.quantized, begin, end, data); });
        part.quantized.data = data;
        linear->bytes += bytes;
        linear->any_packed = true;
        linear->int8_x = part.quantized.int8_x;
      } else {
        const uint8_t* data = view.data ? view.data : read_plain(view);
        part.plain = {data, static_cast<int>(view.rows), static_cast<int>(view.cols), plain_type(view.type.dtype)};
        linear->bytes += view.type.bytes(view.elems());
      }
      linear->out_features += view.rows;
      linear->units += part.units;
      linear->parts.push_back(part);
    }
    return linear;
  }

  std::unique_ptr<Table> make_table(const WeightView& view) override {
    auto table = std::make_unique<RowTable>();
    table->rows = view.rows;
    table->cols = view.cols;
    table->view = view;
    table->row_bytes = view.type.bytes(view.cols);
    if (view.rows == 1) {
      table->values.resize(view.cols);
      dequantize_row(view.type, view.data, view.cols, table->values.data());
    }
    return table;
  }

  void make_kv_cache(int n_blocks) override {
    cache_.clear();
    for (int layer = 0; layer < shape_.n_layers; ++layer) cache_.emplace_back(kv_.block_bytes() * n_blocks);
    // Now, when its size was chosen, rather than in the middle of a step: too much of it must not end a server at work.
    std::atomic<bool> fits{true};
    pool_.run(shape_.n_layers, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t layer = begin; layer < end; ++layer) {
        if (!cache_[layer].commit()) fits = false;
      }
    });
    if (!fits) throw Error("E_OUT_OF_MEMORY", "the KV cache does not fit in memory: lower --max-total-tokens");
  }

  void reserve_steps(int max_rows, int max_logit_rows) override {
    const int64_t hidden = shape_.hidden, attended = int64_t{shape_.n_heads} * shape_.head_dim;
    const int64_t most_in = std::max({hidden, attended, int64_t{shape_.intermediate}});
    const bool fits =
        x_.reserve(max_rows, hidden) && h_.reserve(max_rows, hidden) && delta_.reserve(max_rows, hidden) &&
        qkv_.reserve(max_rows, shape_.qkv_dim()) && attended_.reserve(max_rows, attended) &&
        gate_up_.reserve(max_rows, 2 * int64_t{shape_.intermediate}) &&
        activated_.reserve(max_rows, shape_.intermediate) && x_groups_.reserve(max_rows, most_in / kGroup) &&
        final_.reserve(max_logit_rows, hidden) && logits_.reserve(max_logit_rows, shape_.vocab);
    if (!fits) throw Error("E_OUT_OF_MEMORY", "a step does not fit in memory: lower --chunked-prefill-size");
  }

  uint64_t kv_bytes_per_token() const override { return kv_.block_bytes() / kBlockSize * shape_.n_layers; }

  void read_block(int32_t block, uint8_t* to) override {
    const size_t bytes = kv_.block_bytes();
    for (Memory& layer : cache_) to = std::copy_n(layer.data() + static_cast<size_t>(block) * bytes, bytes, to);
  }

  void write_block(int32_t block, const uint8_t* from) override {
    const size_t bytes = kv_.block_bytes();
    for (Memory& layer : cache_) {
      std::copy_n(from, bytes, layer.data() + static_cast<size_t>(block) * bytes);
      from += bytes;
    }
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
    x_.resize(n_rows_, shape_.hidden);
    h_.resize(n_rows_, shape_.hidden);
    delta_.resize(n_rows_, shape_.hidden);
    qkv_.resize(n_rows_, shape_.qkv_dim());
    attended_.resize(n_rows_, shape_.n_heads * shape_.head_dim);
    gate_up_.resize(n_rows_, 2 * shape_.intermediate);
    activated_.resize(n_rows_, shape_.intermediate);
  }

  void embed(const Table& table, const Table& norm) override {
    const auto& rows = static_cast<const RowTable&>(table);
    each_row(n_rows_, shape_.hidden, [&](int64_t row) {
      const uint8_t* source = rows.view.data + static_cast<size_t>(batch_->token_ids[row]) * rows.row_bytes;
      dequantize_row(rows.view.type, source, rows.cols, x_.data() + row * shape_.hidden);
      normalize(row, norm);
    });
  }

  void qkv(const Linear& weight) override { product(h_.data(), n_rows_, weight, qkv_.data()); }

  void attention(int layer, const Table* q_norm, const Table* k_norm) override {
    uint8_t* cache = cache_[layer].data();
    each_row(n_rows_, shape_.qkv_dim(), [&](int64_t row) { rope_append(row, q_norm, k_norm, cache); });
    pool_.run(plan_.size(), 1, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t i = begin; i < end; ++i) plan_.run(i, thread, kernels_, qkv_.data(), cache, attended_.data());
    });
    plan_.merge(attended_.data());
  }

  void output(const Linear& weight, const Table& next_norm) override {
    add_product(attended_.data(), weight, next_norm);
  }

  void gate_up(const Linear& weight) override {
    const int64_t dim = shape_.intermediate;
    product(h_.data(), n_rows_, weight, gate_up_.data());
    each_row(n_rows_, 4 * dim, [&](int64_t row) {
      const float* gate = gate_up_.data() + row * 2 * dim;
      kernels_.silu_mul(gate, gate + dim, static_cast<int>(dim), activated_.data() + row * dim);
    });
  }

  void down(const Linear& weight, const Table& next_norm) override {
    add_product(activated_.data(), weight, next_norm);
  }

  void logits(const Linear& head) override {
    const size_t n = batch_->logit_rows.size(), dim = static_cast<size_t>(shape_.hidden);
    const auto n_rows = static_cast<int64_t>(n);
    final_.resize(n_rows, shape_.hidden);
    logits_.resize(n_rows, head.out_features);
    n_logits_ = n * static_cast<size_t>(head.out_features);
    for (size_t i = 0; i < n; ++i) {
      const size_t row = static_cast<size_t>(batch_->logit_rows[i]);
      std::memcpy(final_.data() + i * dim, h_.data() + row * dim, dim * sizeof(float));
    }
    product(final_.data(), n_rows, head, logits_.data());
  }

  StepOutput wait() override { return {{logits_.data(), n_logits_}, {}}; }

 private:
  // f(begin, end) over [0, n) by all threads; unlike a step's it may throw.
  template <class F>
  void load(int64_t n, int64_t chunk, F&& f) {
    std::mutex mutex;
    std::exception_ptr error;
    pool_.run(n, chunk, [&](int64_t begin, int64_t end, int) {
      try {
        f(begin, end);
      } catch (...) {
        const std::lock_guard lock(mutex);
        error = std::current_exception();
      }
    });
    if (error) std::rethrow_exception(error);
  }

  // Of a view that is not in memory.
  const uint8_t* read_plain(const WeightView& view) {
    const size_t row_bytes = view.type.bytes(view.cols);
    uint8_t* data = weights_.allocate(row_bytes * static_cast<size_t>(view.rows));
    load(view.rows, 64, [&](int64_t begin, int64_t end) {
      const size_t first = static_cast<size_t>(begin) * row_bytes;
      view.source->read(first, {data + first, static_cast<size_t>(end - begin) * row_bytes});
    });
    return data;
  }

  template <class F>
  void each_row(int64_t rows, int64_t dim, F&& f) {
    const int64_t chunk = rows * dim <= kSerialElems ? rows : std::max<int64_t>(1, rows / (4 * pool_.size()));
    pool_.run(rows, chunk, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) f(row);
    });
  }

  // h[row] = rms_norm(x[row]) * norm
  void normalize(int64_t row, const Table& norm) {
    const int64_t at = row * shape_.hidden;
    kernels_.rms_norm(x_.data() + at, row_values(norm), shape_.hidden, shape_.eps, h_.data() + at);
  }

  // x += W from; h = rms_norm(x) * next_norm
  void add_product(const float* from, const Linear& weight, const Table& next_norm) {
    product(from, n_rows_, weight, delta_.data());
    each_row(n_rows_, shape_.hidden, [&](int64_t row) {
      const int64_t at = row * shape_.hidden;
      kernels_.add(x_.data() + at, delta_.data() + at, shape_.hidden);
      normalize(row, next_norm);
    });
  }

  void rope_append(int64_t row, const Table* q_norm, const Table* k_norm, uint8_t* cache) {
    const int dim = shape_.head_dim, n_q = shape_.n_heads, n_kv = shape_.n_kv_heads;
    float* heads = qkv_.data() + row * shape_.qkv_dim();
    for (int head = 0; head < n_q + n_kv; ++head) {
      float* h = heads + static_cast<int64_t>(head) * dim;
      if (const Table* norm = head < n_q ? q_norm : k_norm) kernels_.rms_norm(h, row_values(*norm), dim, shape_.eps, h);
      rotate(h, row);
    }
    const auto [block, slot] = slots_[row];
    uint8_t* base = cache + static_cast<size_t>(block) * kv_.block_bytes();
    for (int head = 0; head < n_kv; ++head) {
      const float* k = heads + static_cast<int64_t>(n_q + head) * dim;
      kernels_.store_kv(kv_, k, k + static_cast<int64_t>(n_kv) * dim, base + head * kv_.head_elems() * kv_.elem_bytes(),
                        slot);
    }
  }

  void rotate(float* head, int64_t row) const {
    const int half = shape_.head_dim / 2;
    const float* cos = cos_.data() + row * half;
    const float* sin = sin_.data() + row * half;
    const int step = shape_.rope_interleaved ? 2 : 1, partner = shape_.rope_interleaved ? 1 : half;
    for (int i = 0; i < half; ++i) {
      float& a = head[i * step];
      float& b = head[i * step + partner];
      const float rotated = a * cos[i] - b * sin[i];
      b = a * sin[i] + b * cos[i];
      a = rotated;
    }
  }

  // Activations (n, cols) as XGroups, tile by tile (see Kernels::packed_linear).
  const XGroup* quantize(const float* x, int64_t n, int64_t cols, bool to_int8) {
    const int64_t groups = cols / kGroup;
    x_groups_.resize(n, groups);
    each_row(n, cols, [&](int64_t row) {
      const int64_t tile = row / kTile * kTile, tile_rows = std::min<int64_t>(kTile, n - tile);
      XGroup* first = x_groups_.data() + tile * groups + (row - tile);
      (to_int8 ? kernels_.quantize8 : kernels_.quantize)(x + row * cols, static_cast<int>(cols), first,
                                                         static_cast<size_t>(tile_rows));
    });
    return x_groups_.data();
  }

  // out (n, out_features) = x (n, in_features) W^T + b
  void product(const float* x, int64_t n, const Linear& linear, float* out) {
    if (n == 0) return;
    const auto& weight = static_cast<const StackedLinear&>(linear);
    const XGroup* groups = weight.any_packed ? quantize(x, n, weight.in_features, weight.int8_x) : nullptr;
    const size_t stride = static_cast<size_t>(weight.out_features);
    const int64_t chunk = std::max<int64_t>(1, weight.units / (4 * pool_.size()));
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
  const DecoderShape shape_;
  const KvLayout kv_;
  Arena weights_;
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
  Buffer<float> x_, h_, delta_;  // (n_rows, hidden)
  Buffer<float> qkv_, attended_, gate_up_, activated_;
  Buffer<XGroup> x_groups_;
  Buffer<float> final_, logits_;  // (logit rows, hidden), (logit rows, vocab)
  size_t n_logits_ = 0;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const DecoderShape& shape, int n_threads, KvDType kv_dtype) {
  return std::make_unique<CpuBackend>(shape, n_threads, kv_dtype);
}

CpuInfo cpu_info(const Backend& backend) { return static_cast<const CpuBackend&>(backend).info(); }

}  // namespace jsg::cpu
