#include "addon/step_object.h"

namespace jsg {
namespace {

// All arrays of a step are views of one buffer: an ArrayBuffer costs far more than a view, and this runs on the event
// loop once for every token of a single stream.
class Views {
 public:
  Views(Napi::Env env, size_t n_bytes)
      : env_(env), buffer_(Napi::ArrayBuffer::New(env, n_bytes)), data_(static_cast<uint8_t*>(buffer_.Data())) {}

  // The next n elements, as `View`; `value_of(i)` fills them. Wider elements first keeps every view aligned.
  template <typename View, typename ValueOf>
  View add(size_t n, ValueOf value_of) {
    using T = std::remove_pointer_t<decltype(std::declval<View>().Data())>;
    T* values = reinterpret_cast<T*>(data_ + offset_);
    for (size_t i = 0; i < n; ++i) values[i] = static_cast<T>(value_of(i));
    const size_t offset = offset_;
    offset_ += n * sizeof(T);
    return View::New(env_, n, buffer_, offset);
  }

 private:
  Napi::Env env_;
  Napi::ArrayBuffer buffer_;
  uint8_t* data_;
  size_t offset_ = 0;
};

Napi::Object make_stats(Napi::Env env, const StepStats& stats) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("prefillSeqs", stats.prefill_seqs);
  object.Set("prefillTokens", stats.prefill_tokens);
  object.Set("cachedTokens", stats.cached_tokens);
  object.Set("decodeSeqs", stats.decode_seqs);
  object.Set("numRunning", stats.n_running);
  object.Set("numQueued", stats.n_queued);
  object.Set("usedTokens", stats.used_tokens);
  object.Set("totalTokens", stats.total_tokens);
  object.Set("numRetracted", stats.n_retracted);
  object.Set("elapsedUs", stats.elapsed_us);
  return object;
}

Napi::Value make_failure(Napi::Env env, const std::optional<RuntimeFailure>& failure) {
  if (!failure) return env.Null();
  Napi::Object object = Napi::Object::New(env);
  object.Set("code", failure->code);
  object.Set("message", failure->message);
  return object;
}

}  // namespace

Napi::Object make_step_object(Napi::Env env, const StepEvents& events) {
  const auto& tokens = events.tokens;
  const auto& top = events.top;
  const size_t n = tokens.size();
  Views views(env, n * (3 * sizeof(int32_t) + 3) + top.size() * 2 * sizeof(int32_t));

  Napi::Object object = Napi::Object::New(env);
  object.Set("ids", views.add<Napi::Uint32Array>(n, [&](size_t i) { return tokens[i].id; }));
  object.Set("tokens", views.add<Napi::Int32Array>(n, [&](size_t i) { return tokens[i].token; }));
  object.Set("logprobs", views.add<Napi::Float32Array>(n, [&](size_t i) { return tokens[i].logprob; }));
  object.Set("topIds", views.add<Napi::Int32Array>(top.size(), [&](size_t i) { return top[i].token; }));
  object.Set("topLogprobs", views.add<Napi::Float32Array>(top.size(), [&](size_t i) { return top[i].logprob; }));
  object.Set("finish", views.add<Napi::Uint8Array>(n, [&](size_t i) { return tokens[i].finish; }));
  object.Set("isPrompt", views.add<Napi::Uint8Array>(n, [&](size_t i) { return tokens[i].is_prompt; }));
  object.Set("topCounts", views.add<Napi::Uint8Array>(n, [&](size_t i) { return tokens[i].n_top; }));
  object.Set("stats", make_stats(env, events.stats));
  object.Set("error", make_failure(env, events.error));
  return object;
}

}  // namespace jsg
