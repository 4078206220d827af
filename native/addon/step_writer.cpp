#include "addon/step_writer.h"

#include <algorithm>

namespace jsg {
namespace {

constexpr size_t kNumStats = 13;  // of StepStats, in the order of STEP_STATS in src/addon/binding.ts
constexpr size_t kMinCapacity = 64;

size_t grown(size_t capacity, size_t needed) { return std::max({needed, 2 * capacity, kMinCapacity}); }

// Lays views out one behind the other; the widest elements first, so that each is aligned.
class Layout {
 public:
  Layout(Napi::Object object, Napi::ArrayBuffer buffer) : object_(object), buffer_(buffer) {}

  template <typename View, typename T>
  void add(const char* name, size_t n, T*& data) {
    View view = View::New(object_.Env(), n, buffer_, offset_);
    object_.Set(name, view);
    data = view.Data();
    offset_ += n * sizeof(T);
  }

 private:
  Napi::Object object_;
  Napi::ArrayBuffer buffer_;
  size_t offset_ = 0;
};

}  // namespace

void StepWriter::make_object(Napi::Env env, size_t n_events, size_t n_top, size_t n_starts) {
  event_capacity_ = grown(event_capacity_, n_events);
  top_capacity_ = grown(top_capacity_, n_top);
  start_capacity_ = grown(start_capacity_, n_starts);
  const Napi::ArrayBuffer buffer =
      Napi::ArrayBuffer::New(env, kNumStats * sizeof(double) + event_capacity_ * (3 * sizeof(int32_t) + 4) +
                                      (top_capacity_ + start_capacity_) * 2 * sizeof(int32_t));
  Napi::Object object = Napi::Object::New(env);
  Layout layout(object, buffer);
  layout.add<Napi::Float64Array>("stats", kNumStats, stats_);
  layout.add<Napi::Uint32Array>("ids", event_capacity_, ids_);
  layout.add<Napi::Int32Array>("tokens", event_capacity_, tokens_);
  layout.add<Napi::Float32Array>("logprobs", event_capacity_, logprobs_);
  layout.add<Napi::Int32Array>("topIds", top_capacity_, top_ids_);
  layout.add<Napi::Float32Array>("topLogprobs", top_capacity_, top_logprobs_);
  layout.add<Napi::Uint32Array>("startIds", start_capacity_, start_ids_);
  layout.add<Napi::Int32Array>("startCached", start_capacity_, start_cached_);
  layout.add<Napi::Uint8Array>("finish", event_capacity_, finish_);
  layout.add<Napi::Uint8Array>("isPrompt", event_capacity_, is_prompt_);
  layout.add<Napi::Uint8Array>("topCounts", event_capacity_, top_counts_);
  layout.add<Napi::Uint8Array>("checkedCounts", event_capacity_, checked_counts_);
  object.Set("error", env.Null());
  object_ = Napi::Persistent(object);
  buffer_ = Napi::Persistent(buffer);
}

Napi::Object StepWriter::write(Napi::Env env, const StepEvents& events) {
  const size_t n_events = events.tokens.size(), n_top = events.top.size(), n_starts = events.starts.size();
  // A listener may have given the buffer away (ArrayBuffer.prototype.transfer); the memory is then no longer ours.
  const bool has_room = n_events <= event_capacity_ && n_top <= top_capacity_ && n_starts <= start_capacity_;
  if (object_.IsEmpty() || !has_room || buffer_.Value().IsDetached()) {
    make_object(env, n_events, n_top, n_starts);
  }
  for (size_t i = 0; i < n_events; ++i) {
    const TokenEvent& event = events.tokens[i];
    ids_[i] = event.id;
    tokens_[i] = event.token;
    logprobs_[i] = event.logprob;
    finish_[i] = static_cast<uint8_t>(event.finish);
    is_prompt_[i] = event.is_prompt;
    top_counts_[i] = event.n_top;
    checked_counts_[i] = event.n_checked;
  }
  for (size_t i = 0; i < n_top; ++i) {
    top_ids_[i] = events.top[i].token;
    top_logprobs_[i] = events.top[i].logprob;
  }
  for (size_t i = 0; i < n_starts; ++i) {
    start_ids_[i] = events.starts[i].id;
    start_cached_[i] = events.starts[i].n_cached;
  }
  const StepStats& stats = events.stats;
  const double figures[kNumStats] = {
      static_cast<double>(stats.prefill_seqs),  static_cast<double>(stats.prefill_tokens),
      static_cast<double>(stats.cached_tokens), static_cast<double>(stats.decode_seqs),
      static_cast<double>(stats.n_drafts),      static_cast<double>(stats.n_accepted),
      static_cast<double>(stats.n_running),     static_cast<double>(stats.n_queued),
      static_cast<double>(stats.used_tokens),   static_cast<double>(stats.total_tokens),
      static_cast<double>(stats.n_retracted),   stats.elapsed_us,
      static_cast<double>(stats.graph)};
  std::copy_n(figures, kNumStats, stats_);

  Napi::Object object = object_.Value();
  if (events.error) {
    Napi::Object error = Napi::Object::New(env);
    error.Set("code", events.error->code);
    error.Set("message", events.error->message);
    object.Set("error", error);
  }
  return object;
}

}  // namespace jsg
