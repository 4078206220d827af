// The decoder of the Llama family, as a list of backend operations.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "model/model.h"
#include "model/rope.h"
#include "model/weights.h"

namespace jsg {

class Decoder final : public Model {
 public:
  Decoder(const ModelConfig& config, std::unique_ptr<Weights> weights, std::unique_ptr<Backend> backend, int n_blocks,
          const std::function<void(double)>& progress);

  int vocab_size() const override { return config_.vocab_size; }
  int max_in_flight() const override { return backend_->max_in_flight(); }
  int max_top_logprobs() const override { return backend_->max_top_logprobs(); }
  void launch(const Batch& batch) override;
  void sample(std::span<const RowSampling> rows) override { backend_->sample(rows); }
  StepOutput wait() override { return backend_->wait(); }
  size_t block_bytes() const override { return backend_->kv_bytes_per_token() * kBlockSize; }
  void read_block(int32_t block, uint8_t* to) override { backend_->read_block(block, to); }
  void write_block(int32_t block, const uint8_t* from) override { backend_->write_block(block, from); }
  uint64_t weight_bytes() const { return weight_bytes_; }
  const Backend& backend() const { return *backend_; }

 private:
  struct Layer {
    std::unique_ptr<Table> attention_norm, mlp_norm;  // (hidden)
    std::unique_ptr<Table> q_norm, k_norm;            // (head_dim), or null
    std::unique_ptr<Linear> qkv;                      // hidden -> (n_heads + 2 n_kv_heads) * head_dim
    std::unique_ptr<Linear> output;                   // n_heads * head_dim -> hidden
    std::unique_ptr<Linear> gate_up;                  // hidden -> 2 * intermediate
    std::unique_ptr<Linear> down;                     // intermediate -> hidden
  };
  Layer load_layer(int index);
  std::unique_ptr<Table> load_table(const std::string& name, const std::vector<int64_t>& shape);
  std::unique_ptr<Linear> load_linear(const std::vector<std::string>& names, const std::vector<int64_t>& rows,
                                      int64_t cols, bool bias);

  ModelConfig config_;
  std::unique_ptr<Weights> weights_;
  Rope rope_;
  std::unique_ptr<Table> embedding_, final_norm_;
  std::unique_ptr<Linear> head_;
  std::vector<Layer> layers_;
  // After what it fills, so that it ends first: loading may be given up while copies are on their way.
  std::unique_ptr<Backend> backend_;
  uint64_t weight_bytes_ = 0;
  uint64_t handed_over_ = 0;  // bytes of weights, as stored, that the backend has been given

  std::vector<float> cos_, sin_;  // (n_rows, head_dim / 2)
};

}  // namespace jsg
