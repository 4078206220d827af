#include "addon/quantize.h"

#include <memory>
#include <system_error>
#include <thread>

#include "addon/fields.h"
#include "addon/js_error.h"
#include "addon/loop_port.h"
#include "error.h"
#include "model/quantize_offline.h"

namespace jsg {
namespace {

constexpr int64_t kMaxSafeInteger = (int64_t{1} << 53) - 1;
constexpr int64_t kMaxSize = 1 << 30;

struct Request {
  std::string path;
  DType dtype;
  uint64_t offset;
  int64_t rows, cols;
  OfflineScheme scheme;
  int n_threads;
};

Request parse(const Napi::Value& value) {
  const Fields fields(value, "E_INVALID_REQUEST", "");
  const Fields scheme = fields.object("scheme");
  return {fields.string("path"),
          dtype_from_name(fields.string("dtype")),
          static_cast<uint64_t>(fields.integer("offset", 0, kMaxSafeInteger)),
          fields.integer("rows", 1, kMaxSize),
          fields.integer("cols", 1, kMaxSize),
          {static_cast<int>(scheme.integer("bits", 4, 8)), static_cast<int>(scheme.integer("groupSize", 1, kMaxSize)),
           scheme.choice("method", {"rtn", "hqq"}) == 1, scheme.boolean("biased")},
          static_cast<int>(fields.integer("numThreads", 0, 4096))};
}

template <class T>
Napi::Value bytes_of(Napi::Env env, const std::vector<T>& values) {
  return Napi::Buffer<uint8_t>::Copy(env, reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T));
}

struct Job {
  Job(Napi::Env env, Request what) : request(std::move(what)), deferred(env) {}

  void run() {
    std::string code, failure;
    try {
      const Request& r = request;
      result = quantize_matrix(r.path, r.dtype, r.offset, r.rows, r.cols, r.scheme, r.n_threads);
    } catch (const Error& error) {
      code = error.code();
      failure = error.what();
    } catch (const std::exception& error) {
      code = "E_OUT_OF_MEMORY";
      failure = error.what();
    }
    port.post([this, code, failure](Napi::Env env) {
      thread.join();
      if (code.empty()) {
        Napi::Object object = Napi::Object::New(env);
        object.Set("codes", bytes_of(env, result.codes));
        object.Set("scales", bytes_of(env, result.scales));
        object.Set("zeros", result.zeros.empty() ? env.Null() : bytes_of(env, result.zeros));
        object.Set("squaredError", result.squared_error);
        object.Set("squaredNorm", result.squared_norm);
        deferred.Resolve(object);
      } else {
        deferred.Reject(make_js_error(env, code, failure).Value());
      }
      port.close();
    });
  }

  const Request request;
  QuantizedMatrix result;
  LoopPort port;
  std::thread thread;
  Napi::Promise::Deferred deferred;
};

}  // namespace

Napi::Value quantize_matrix_async(const Napi::CallbackInfo& info) {
  return with_js_errors(info.Env(), [&] {
    const auto job = std::make_shared<Job>(info.Env(), parse(info[0]));
    Job* raw = job.get();
    raw->port.open(info.Env(), "jsg.quantize", job, [raw] {
      if (raw->thread.joinable()) raw->thread.join();
    });
    try {
      raw->thread = std::thread([raw] { raw->run(); });
    } catch (const std::system_error&) {
      raw->port.close();
      throw;
    }
    return raw->deferred.Promise();
  });
}

}  // namespace jsg
