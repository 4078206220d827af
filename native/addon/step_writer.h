// StepEvents of the runtime as StepEvents of src/addon/binding.ts.
#pragma once
#include <napi.h>

#include <cstdint>

#include "runtime/step_events.h"

namespace jsg {

// Writes every step into one and the same object. A single stream has a step for each token, and making ten arrays and
// objects anew for it costs more than all the rest of the way into JavaScript.
class StepWriter {
 public:
  // The object, filled; valid until the next call.
  Napi::Object write(Napi::Env env, const StepEvents& events);
  // Lets go of the object.
  void reset() {
    object_.Reset();
    buffer_.Reset();
    event_capacity_ = top_capacity_ = start_capacity_ = 0;
  }

 private:
  void make_object(Napi::Env env, size_t n_events, size_t n_top, size_t n_starts);

  Napi::ObjectReference object_;
  Napi::Reference<Napi::ArrayBuffer> buffer_;
  size_t event_capacity_ = 0;
  size_t top_capacity_ = 0;
  size_t start_capacity_ = 0;
  // Into the buffer: kNumStats, then event_capacity_, top_capacity_ or start_capacity_ of each.
  double* stats_ = nullptr;
  uint32_t* ids_ = nullptr;
  int32_t* tokens_ = nullptr;
  float* logprobs_ = nullptr;
  int32_t* top_ids_ = nullptr;
  float* top_logprobs_ = nullptr;
  uint32_t* start_ids_ = nullptr;
  int32_t* start_cached_ = nullptr;
  uint8_t* finish_ = nullptr;
  uint8_t* is_prompt_ = nullptr;
  uint8_t* top_counts_ = nullptr;
  uint8_t* checked_counts_ = nullptr;
};

}  // namespace jsg
