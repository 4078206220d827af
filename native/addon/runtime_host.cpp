#include "addon/runtime_host.h"

#include <chrono>
#include <system_error>

#include "addon/js_error.h"

namespace jsg {
namespace {

double ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

// Progress is reported in steps of this much.
constexpr double kProgressStep = 0.01;

}  // namespace

// --- loading ---

Napi::Promise RuntimeHost::start(Napi::Env env, RuntimeSpec spec, Napi::Function on_step, Napi::Function on_progress,
                                 Wrap wrap) {
  const std::shared_ptr<RuntimeHost> host(new RuntimeHost(env));
  host->wrap_ = std::move(wrap);
  host->step_listener_ = Napi::Persistent(on_step);
  host->progress_listener_ = Napi::Persistent(on_progress);
  host->port_.open(env, "jsg.runtime", host, [raw = host.get()] { raw->tear_down(); });
  try {
    host->load_thread_ = std::thread([raw = host.get(), spec = std::move(spec)] { raw->load(spec); });
  } catch (const std::system_error&) {
    host->close();
    throw;
  }
  return host->loading_.Promise();
}

void RuntimeHost::load(const RuntimeSpec& spec) {
  const auto start = std::chrono::steady_clock::now();
  double reported = -1;
  const auto on_progress = [&](double fraction) {
    if (interrupted_) throw Error("E_UNAVAILABLE", "loading was interrupted");
    if (fraction < reported + kProgressStep && fraction < 1) return;
    reported = fraction;
    port_.post([this, fraction](Napi::Env env) { progress_listener_.Call({Napi::Number::New(env, fraction)}); });
  };
  std::string code = "E_INTERNAL", message;
  try {
    LoadedModel loaded = load_model(spec.load, on_progress);
    info_ = {loaded.isa,
             loaded.n_threads,
             loaded.weight_bytes,
             loaded.kv_bytes_per_token,
             loaded.n_blocks * kBlockSize,
             ms_since(start),
             loaded.n_graphs,
             loaded.warm_up_seconds * 1e3};
    port_.post([this, options = spec.engine, loaded = std::move(loaded)](Napi::Env env) mutable {
      on_loaded(env, std::move(loaded), options);
    });
    return;
  } catch (const Error& error) {
    code = error.code();
    message = error.what();
  } catch (const std::bad_alloc&) {
    code = "E_OUT_OF_MEMORY";
    message = "not enough memory for the weights and the KV cache";
  } catch (const std::exception& error) {
    message = error.what();
  }
  port_.post([this, code, message](Napi::Env env) { on_load_failed(env, code, message); });
}

void RuntimeHost::on_loaded(Napi::Env env, LoadedModel loaded, EngineOptions options) {
  load_thread_.join();
  options.n_blocks = loaded.n_blocks;
  // One post a step carries all that the step did.
  const auto sink = [this](std::unique_ptr<StepEvents> events) {
    port_.post([this, events = std::move(events)](Napi::Env step_env) { on_step(step_env, *events); });
  };
  try {
    with_js_errors(env, [&] {
      engine_ = std::make_unique<Engine>(std::move(loaded.model), options, sink);
      const Napi::Object wrapped = wrap_(env, shared_from_this());
      port_.set_referenced(false);
      loading_.Resolve(wrapped);
    });
  } catch (const Napi::Error& error) {
    if (engine_) engine_->stop();
    close();
    loading_.Reject(error.Value());
  }
}

void RuntimeHost::on_load_failed(Napi::Env env, const std::string& code, const std::string& message) {
  load_thread_.join();
  close();
  loading_.Reject(make_js_error(env, code, message).Value());
}

// --- running ---

void RuntimeHost::submit(Request request) {
  engine_->submit(std::move(request));
  ++n_live_;
  hold();
}

// A process that waits for tokens stays alive; one that merely has a runtime does not.
void RuntimeHost::hold() {
  if (n_held_++ == 0) port_.set_referenced(true);
}

void RuntimeHost::let_go(int n) {
  n_held_ -= n;
  if (n > 0 && n_held_ == 0 && stopping_.empty()) port_.set_referenced(false);
}

void RuntimeHost::on_step(Napi::Env env, const StepEvents& events) {
  int n_ended = 0;
  for (const TokenEvent& event : events.tokens) n_ended += event.finish != FinishReason::kNone;
  n_live_ -= n_ended;
  let_go(n_ended);
  const auto count = [env](size_t n) { return Napi::Number::New(env, static_cast<double>(n)); };
  step_listener_.Call({step_writer_.write(env, events), count(events.tokens.size()), count(events.starts.size())});
}

Napi::Promise RuntimeHost::save_cache(Napi::Env env, std::string path, std::vector<uint8_t> header) {
  return at_rest(env, [path = std::move(path), header = std::move(header)](Pipeline& pipeline) {
    return pipeline.save_session(path, header);
  });
}

Napi::Promise RuntimeHost::load_cache(Napi::Env env, std::string path, uint64_t offset) {
  return at_rest(env,
                 [path = std::move(path), offset](Pipeline& pipeline) { return pipeline.load_session(path, offset); });
}

// The promise gets the tokens of as many blocks as `act` returns, or its error.
Napi::Promise RuntimeHost::at_rest(Napi::Env env, std::function<int(Pipeline&)> act) {
  const auto deferred = std::make_shared<Napi::Promise::Deferred>(env);
  const auto n_tokens = std::make_shared<double>(0);
  const auto done = [this, deferred, n_tokens](const Error* error) {
    const std::string code = error ? error->code() : "", message = error ? error->what() : "";
    port_.post([this, deferred, n_tokens, code, message](Napi::Env settling) {
      let_go(1);
      if (code.empty()) {
        deferred->Resolve(Napi::Number::New(settling, *n_tokens));
      } else {
        deferred->Reject(make_js_error(settling, code, message).Value());
      }
    });
  };
  const auto count = [act = std::move(act), n_tokens](Pipeline& pipeline) {
    *n_tokens = static_cast<double>(act(pipeline)) * kBlockSize;
  };
  if (n_live_ > 0 || !engine_->at_rest({count, done})) throw Error("E_UNAVAILABLE", "requests run or wait");
  hold();
  return deferred->Promise();
}

// --- stopping ---

Napi::Promise RuntimeHost::stop(Napi::Env env) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  if (closed_) {
    deferred.Resolve(env.Undefined());
    return deferred.Promise();
  }
  stopping_.push_back(deferred);
  if (stopping_.size() == 1) {
    port_.set_referenced(true);
    engine_->begin_stop([this] { port_.post([this](Napi::Env env) { on_stopped(env); }); });
  }
  return deferred.Promise();
}

void RuntimeHost::on_stopped(Napi::Env env) {
  engine_->stop();
  close();
  for (const auto& deferred : stopping_) deferred.Resolve(env.Undefined());
  stopping_.clear();
}

void RuntimeHost::close() {
  closed_ = true;
  step_listener_.Reset();
  progress_listener_.Reset();
  step_writer_.reset();
  port_.close();
}

// The environment ends: no JavaScript may run any more, and no thread may outlive it.
void RuntimeHost::tear_down() {
  interrupted_ = true;
  if (load_thread_.joinable()) load_thread_.join();
  if (engine_) engine_->stop();
}

}  // namespace jsg
