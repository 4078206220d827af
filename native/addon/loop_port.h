// The way from other threads back to the JavaScript thread.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace jsg {

// Runs closures on the JavaScript thread, in the order in which they were posted.
class LoopPort {
 public:
  LoopPort() = default;
  LoopPort(const LoopPort&) = delete;
  LoopPort& operator=(const LoopPort&) = delete;

  // JavaScript thread. `owner` (which holds this port, and what closures refer to) is kept alive until no closure can
  // run any more. `on_teardown` is called when the environment ends (process.exit, end of a worker) with the port still
  // open: it must join every thread that posts. The process does not end by itself while the port is referenced, as it
  // is at first.
  void open(Napi::Env env, const char* name, std::shared_ptr<void> owner, std::function<void()> on_teardown);
  // JavaScript thread. What was posted before still runs; nothing may be posted afterwards.
  void close();

  // JavaScript thread: whether the port keeps the process alive.
  void set_referenced(bool referenced);

  // Any thread. Never blocks. `closure(Napi::Env)` is destroyed without having run when the environment ends first.
  template <typename F>
  void post(F&& closure) {
    send(std::make_unique<Closure<std::decay_t<F>>>(std::forward<F>(closure)));
  }

 private:
  struct Task {
    virtual ~Task() = default;
    virtual void run(Napi::Env env) = 0;
  };
  // std::function would ask for closures that can be copied; these own what they carry.
  template <typename F>
  struct Closure : Task {
    explicit Closure(F f) : closure(std::move(f)) {}
    void run(Napi::Env env) override { closure(env); }
    F closure;
  };

  void send(std::unique_ptr<Task> task);
  static void run_task(napi_env env, napi_value callback, void* context, void* data);
  static void tear_down(void* self);

  napi_env env_ = nullptr;
  napi_threadsafe_function function_ = nullptr;
  std::function<void()> on_teardown_;
};

}  // namespace jsg
