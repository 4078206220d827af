// NativeRuntime of src/addon/binding.ts.
#pragma once
#include <napi.h>

#include <memory>

#include "addon/runtime_host.h"

namespace jsg {

class RuntimeObject : public Napi::ObjectWrap<RuntimeObject> {
 public:
  // The JavaScript class; not exported: only wrap() makes instances.
  static Napi::Function define(Napi::Env env);
  static Napi::Object wrap(Napi::Function constructor, std::shared_ptr<RuntimeHost> host);

  explicit RuntimeObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value info(const Napi::CallbackInfo& info);
  void submit(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value flush_cache(const Napi::CallbackInfo& info);
  Napi::Value save_cache(const Napi::CallbackInfo& info);
  Napi::Value load_cache(const Napi::CallbackInfo& info);
  Napi::Value stop(const Napi::CallbackInfo& info);

  std::shared_ptr<RuntimeHost> host_;
};

}  // namespace jsg
