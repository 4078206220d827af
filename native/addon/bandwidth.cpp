#include "addon/bandwidth.h"

#include <memory>
#include <system_error>
#include <thread>

#include "addon/js_error.h"
#include "addon/loop_port.h"
#include "model/load.h"

namespace jsg {
namespace {

struct Measurement {
  explicit Measurement(Napi::Env env) : deferred(env) {}

  void run(bool cuda, size_t bytes, int n_threads) {
    double gbs = 0;
    std::string code, failure;
    try {
      gbs = cuda ? measure_cuda_read_bandwidth(bytes) : measure_read_bandwidth(bytes, n_threads);
    } catch (const Error& error) {
      code = error.code();
      failure = error.what();
    } catch (const std::exception& error) {
      code = "E_OUT_OF_MEMORY";
      failure = error.what();
    }
    port.post([this, gbs, code, failure](Napi::Env env) {
      thread.join();
      port.close();
      if (code.empty()) {
        deferred.Resolve(Napi::Number::New(env, gbs));
      } else {
        deferred.Reject(make_js_error(env, code, failure).Value());
      }
    });
  }

  LoopPort port;
  std::thread thread;
  Napi::Promise::Deferred deferred;
};

}  // namespace

Napi::Value measure_read_bandwidth_async(const Napi::CallbackInfo& info) {
  const std::string device = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
  const double bytes = info[1].IsNumber() ? info[1].As<Napi::Number>().DoubleValue() : -1;
  const double n_threads = info[2].IsNumber() ? info[2].As<Napi::Number>().DoubleValue() : -1;
  const bool is_device = device == "cpu" || device == "cuda";
  if (!is_device || !(bytes >= 1 && bytes <= 1e12) || !(n_threads >= 0 && n_threads <= 4096)) {
    throw make_js_error(info.Env(), "E_INVALID_REQUEST",
                        "measureReadBandwidth takes a device, bytes and a number of threads");
  }
  const auto measurement = std::make_shared<Measurement>(info.Env());
  Measurement* raw = measurement.get();
  raw->port.open(info.Env(), "jsg.bandwidth", measurement, [raw] {
    if (raw->thread.joinable()) raw->thread.join();
  });
  return with_js_errors(info.Env(), [&] {
    try {
      raw->thread =
          std::thread([=] { raw->run(device == "cuda", static_cast<size_t>(bytes), static_cast<int>(n_threads)); });
    } catch (const std::system_error&) {
      raw->port.close();
      throw;
    }
    return raw->deferred.Promise();
  });
}

}  // namespace jsg
