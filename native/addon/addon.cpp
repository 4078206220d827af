// The addon's exports: NativeBinding of src/addon/binding.ts.
#include <napi.h>

#include "addon/bandwidth.h"
#include "addon/grammar_host.h"
#include "addon/js_error.h"
#include "addon/parse.h"
#include "addon/quantize.h"
#include "addon/runtime_host.h"
#include "addon/runtime_object.h"
#include "grammar/grammar_compiler.h"
#include "model/load.h"

namespace jsg {
namespace {

// CONTRACT of src/addon/binding.ts, whose types this addon implements: raise both whenever one of those changes.
constexpr int kContract = 12;

// One for each environment (the main thread, each worker).
struct AddonData {
  Napi::FunctionReference runtime_class;
};

Napi::Value isas(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return with_js_errors(env, [&] {
    const auto names = available_isas();
    Napi::Array array = Napi::Array::New(env, names.size());
    for (size_t i = 0; i < names.size(); ++i) array.Set(static_cast<uint32_t>(i), names[i]);
    return array;
  });
}

Napi::Value cuda_device(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return with_js_errors(env, [&]() -> Napi::Value {
    const auto device = cuda_device_info();
    if (!device) return env.Null();
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", device->name);
    object.Set("sm", device->sm);
    object.Set("integrated", device->integrated);
    object.Set("totalBytes", static_cast<double>(device->total_bytes));
    object.Set("freeBytes", static_cast<double>(device->free_bytes));
    return object;
  });
}

Napi::Value create_runtime(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return with_js_errors(env, [&]() -> Napi::Value {
    if (!info[1].IsFunction() || !info[2].IsFunction()) {
      throw Error("E_INVALID_REQUEST", "createRuntime takes a spec, onStep and onProgress");
    }
    const auto wrap = [](Napi::Env wrap_env, std::shared_ptr<RuntimeHost> host) {
      return RuntimeObject::wrap(wrap_env.GetInstanceData<AddonData>()->runtime_class.Value(), std::move(host));
    };
    return RuntimeHost::start(env, parse_spec(info[0]), info[1].As<Napi::Function>(), info[2].As<Napi::Function>(),
                              wrap);
  });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* data = new AddonData{Napi::Persistent(RuntimeObject::define(env))};
  env.SetInstanceData(data);
  exports.Set("version", JSG_VERSION);
  exports.Set("contract", kContract);
  exports.Set("isas", Napi::Function::New<isas>(env, "isas"));
  exports.Set("measureReadBandwidth", Napi::Function::New<measure_read_bandwidth_async>(env, "measureReadBandwidth"));
  exports.Set("quantizeMatrix", Napi::Function::New<quantize_matrix_async>(env, "quantizeMatrix"));
  exports.Set("hasCuda", has_cuda_backend());
  exports.Set("cudaDevice", Napi::Function::New<cuda_device>(env, "cudaDevice"));
  exports.Set("hasGrammars", has_grammars());
  exports.Set("createGrammarCompiler", Napi::Function::New<create_grammar_compiler>(env, "createGrammarCompiler"));
  exports.Set("createRuntime", Napi::Function::New<create_runtime>(env, "createRuntime"));
  return exports;
}

NODE_API_MODULE(jsg, init)

}  // namespace
}  // namespace jsg
