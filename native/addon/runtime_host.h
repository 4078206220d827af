// One native runtime on its way through life: loading on a thread of its own, running, stopped.
#pragma once
#include <napi.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "addon/loop_port.h"
#include "addon/parse.h"
#include "addon/step_writer.h"
#include "runtime/engine.h"

namespace jsg {

struct RuntimeInfo {
  std::string isa;
  int n_threads;
  uint64_t weight_bytes;
  uint64_t kv_bytes_per_token;
  int total_tokens;
  double load_ms;
  int n_graphs;
  double warm_up_ms;
};

// Public members are for the JavaScript thread.
class RuntimeHost : public std::enable_shared_from_this<RuntimeHost> {
 public:
  // Wraps the host for JavaScript once it runs.
  using Wrap = std::function<Napi::Object(Napi::Env, std::shared_ptr<RuntimeHost>)>;

  // Starts to load; the promise gets what `wrap` makes of the running host, or the error.
  static Napi::Promise start(Napi::Env env, RuntimeSpec spec, Napi::Function on_step, Napi::Function on_progress,
                             Wrap wrap);

  const RuntimeInfo& info() const { return info_; }
  void submit(Request request);
  void cancel(uint32_t id) { engine_->cancel(id); }
  RuntimeStats stats() const { return engine_->stats(); }
  // False while JavaScript has not heard of the end of every request.
  bool flush_cache() { return n_live_ == 0 && engine_->flush_cache(); }
  // Writes the prefix cache behind `header` to a new file, and fills it from one. The promises get the number of
  // tokens. Throw E_UNAVAILABLE while requests run or wait.
  Napi::Promise save_cache(Napi::Env env, std::string path, std::vector<uint8_t> header);
  Napi::Promise load_cache(Napi::Env env, std::string path, uint64_t offset);
  // Resolves when the threads are gone, the model is freed and the last events have been delivered.
  Napi::Promise stop(Napi::Env env);

 private:
  explicit RuntimeHost(Napi::Env env) : loading_(env) {}

  void load(const RuntimeSpec& spec);
  void on_loaded(Napi::Env env, LoadedModel loaded, EngineOptions options);
  void on_load_failed(Napi::Env env, const std::string& code, const std::string& message);
  void on_step(Napi::Env env, const StepEvents& events);
  void on_stopped(Napi::Env env);
  Napi::Promise at_rest(Napi::Env env, std::function<int(Pipeline&)> act);
  void hold();
  void let_go(int n);
  void tear_down();
  void close();

  LoopPort port_;
  std::thread load_thread_;
  std::atomic<bool> interrupted_ = false;
  std::unique_ptr<Engine> engine_;
  RuntimeInfo info_{};
  Napi::Promise::Deferred loading_;
  Wrap wrap_;
  Napi::FunctionReference step_listener_;
  Napi::FunctionReference progress_listener_;
  StepWriter step_writer_;
  std::vector<Napi::Promise::Deferred> stopping_;
  bool closed_ = false;
  int n_live_ = 0;  // requests whose end JavaScript has not heard of
  int n_held_ = 0;  // those, and what is done at rest: they keep the process alive
};

}  // namespace jsg
