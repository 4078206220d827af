#include "addon/runtime_object.h"

#include "addon/fields.h"
#include "addon/handle.h"
#include "addon/js_error.h"

namespace jsg {

Napi::Function RuntimeObject::define(Napi::Env env) {
  return DefineClass(
      env, "NativeRuntime",
      {InstanceMethod<&RuntimeObject::info>("info"), InstanceMethod<&RuntimeObject::submit>("submit"),
       InstanceMethod<&RuntimeObject::cancel>("cancel"), InstanceMethod<&RuntimeObject::stats>("stats"),
       InstanceMethod<&RuntimeObject::flush_cache>("flushCache"),
       InstanceMethod<&RuntimeObject::save_cache>("saveCache"), InstanceMethod<&RuntimeObject::load_cache>("loadCache"),
       InstanceMethod<&RuntimeObject::stop>("stop")});
}

Napi::Object RuntimeObject::wrap(Napi::Function constructor, std::shared_ptr<RuntimeHost> host) {
  return constructor.New({make_handle(constructor.Env(), std::move(host))});
}

RuntimeObject::RuntimeObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  host_ = held_by<RuntimeHost>(info[0]);
  if (!host_) throw make_js_error(info.Env(), "E_INVALID_REQUEST", "createRuntime() makes runtimes, not `new`");
}

Napi::Value RuntimeObject::info(const Napi::CallbackInfo& info) {
  const RuntimeInfo& from = host_->info();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("isa", from.isa);
  object.Set("numThreads", from.n_threads);
  object.Set("weightBytes", static_cast<double>(from.weight_bytes));
  object.Set("kvBytesPerToken", static_cast<double>(from.kv_bytes_per_token));
  object.Set("totalTokens", from.total_tokens);
  object.Set("loadMs", from.load_ms);
  object.Set("numGraphs", from.n_graphs);
  object.Set("warmUpMs", from.warm_up_ms);
  return object;
}

void RuntimeObject::submit(const Napi::CallbackInfo& info) {
  with_js_errors(info.Env(), [&] { host_->submit(parse_request(info[0])); });
}

void RuntimeObject::cancel(const Napi::CallbackInfo& info) {
  with_js_errors(info.Env(), [&] { host_->cancel(parse_id(info[0])); });
}

Napi::Value RuntimeObject::stats(const Napi::CallbackInfo& info) {
  const RuntimeStats from = host_->stats();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("numRunning", from.n_running);
  object.Set("numQueued", from.n_queued);
  object.Set("usedTokens", from.used_tokens);
  object.Set("totalTokens", from.total_tokens);
  object.Set("queuedTokens", static_cast<double>(from.queued_tokens));
  object.Set("evictableTokens", from.evictable_tokens);
  object.Set("leakedBlocks", from.leaked_blocks);
  object.Set("steps", static_cast<double>(from.steps));
  return object;
}

Napi::Value RuntimeObject::flush_cache(const Napi::CallbackInfo& info) {
  return with_js_errors(info.Env(), [&] { return Napi::Boolean::New(info.Env(), host_->flush_cache()); });
}

Napi::Value RuntimeObject::save_cache(const Napi::CallbackInfo& info) {
  return with_js_errors(info.Env(), [&] {
    const Fields fields(info[0], "E_INVALID_REQUEST", "");
    return host_->save_cache(info.Env(), fields.string("path"), fields.uint8_array("header"));
  });
}

Napi::Value RuntimeObject::load_cache(const Napi::CallbackInfo& info) {
  return with_js_errors(info.Env(), [&] {
    const Fields fields(info[0], "E_INVALID_REQUEST", "");
    const int64_t offset = fields.integer("offset", 0, (int64_t{1} << 53) - 1);
    return host_->load_cache(info.Env(), fields.string("path"), static_cast<uint64_t>(offset));
  });
}

Napi::Value RuntimeObject::stop(const Napi::CallbackInfo& info) { return host_->stop(info.Env()); }

}  // namespace jsg
