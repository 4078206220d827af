#include "addon/loop_port.h"

#include "addon/js_error.h"

namespace jsg {

void LoopPort::open(Napi::Env env, const char* name, std::shared_ptr<void> owner, std::function<void()> on_teardown) {
  env_ = env;
  on_teardown_ = std::move(on_teardown);
  auto kept_owner = std::make_unique<std::shared_ptr<void>>(std::move(owner));
  const auto drop_owner = [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<void>*>(data); };
  const napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, name), 0, 1, kept_owner.get(),
                                      drop_owner, nullptr, &run_task, &function_);
  if (status != napi_ok) throw Error("E_INTERNAL", "Node.js refused a thread-safe function");
  kept_owner.release();
  // Hooks run in reverse order: this one before Node's own, which takes the function away under the threads' hands.
  napi_add_env_cleanup_hook(env, &tear_down, this);
}

void LoopPort::close() {
  napi_remove_env_cleanup_hook(env_, &tear_down, this);
  napi_release_threadsafe_function(function_, napi_tsfn_release);
}

void LoopPort::set_referenced(bool referenced) {
  if (referenced) {
    napi_ref_threadsafe_function(env_, function_);
  } else {
    napi_unref_threadsafe_function(env_, function_);
  }
}

void LoopPort::send(std::unique_ptr<Task> task) {
  if (napi_call_threadsafe_function(function_, task.get(), napi_tsfn_nonblocking) == napi_ok) task.release();
}

void LoopPort::tear_down(void* self) { static_cast<LoopPort*>(self)->on_teardown_(); }

void LoopPort::run_task(napi_env raw_env, napi_value, void*, void* data) {
  const std::unique_ptr<Task> task(static_cast<Task*>(data));
  if (raw_env == nullptr) return;  // the environment is going down
  const Napi::Env env(raw_env);
  try {
    with_js_errors(env, [&] { task->run(env); });
  } catch (const Napi::Error& error) {
    // A listener threw: an uncaught exception like that of any other callback.
    try {
      napi_fatal_exception(env, error.Value());
    } catch (const Napi::Error&) {
      // What it "threw" is the end of the environment (process.exit in a worker): there is nobody left to be told.
    }
  }
}

}  // namespace jsg
