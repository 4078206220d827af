#include "addon/grammar_host.h"

#include <chrono>
#include <memory>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

#include "addon/fields.h"
#include "addon/handle.h"
#include "addon/js_error.h"
#include "addon/loop_port.h"
#include "addon/parse.h"
#include "grammar/grammar_compiler.h"

namespace jsg {
namespace {

#ifdef JSG_XGRAMMAR

VocabularySpec parse_vocabulary(const Napi::Value& value) {
  const Fields fields(value, "E_MODEL_INVALID", "vocabulary.");
  VocabularySpec spec;
  const auto bytes = fields.uint8_array("bytes");
  const auto ends = fields.int32_array("ends");
  spec.tokens.reserve(ends.size());
  int32_t begin = 0;
  for (const int32_t end : ends) {
    if (end < begin || static_cast<size_t>(end) > bytes.size()) throw Error("E_MODEL_INVALID", "vocabulary.ends");
    spec.tokens.emplace_back(bytes.begin() + begin, bytes.begin() + end);
    begin = end;
  }
  spec.vocab_size = fields.int32("vocabSize", 1);
  spec.stop_ids = fields.int32_array("stopTokenIds");
  spec.merges = fields.int32_array("merges");
  spec.byte_ids = fields.int32_array("byteIds");
  spec.starts_with_characters = fields.boolean("startsWithCharacters");
  return spec;
}

GrammarSource parse_source(const Napi::Value& value) {
  const Fields fields(value, "E_INVALID_REQUEST", "");
  GrammarSource source{};
  // In the order of GrammarKind.
  source.kind = static_cast<GrammarKind>(fields.choice("kind", {"json_schema", "regex", "ebnf", "structural_tag"}));
  source.text = fields.string("text");
  source.strict = fields.boolean("strict");
  source.any_order = fields.boolean("anyOrder");
  return source;
}

Napi::Value to_js(Napi::Env env, const CompileResult& result) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("grammar", make_handle(env, result.grammar));
  object.Set("compileMs", result.compile_ms);
  object.Set("bytes", static_cast<double>(result.bytes));
  return object;
}

// Walks a grammar through the tokens as an answer would, and times what each step of it costs.
Napi::Value follow(Napi::Env env, const Napi::CallbackInfo& info, int vocab_size) {
  if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
    throw Error("E_INVALID_REQUEST", "follow takes a grammar and an Int32Array");
  }
  const auto matcher = parse_grammar(info[0])->start();
  const auto tokens = info[1].As<Napi::Int32Array>();
  std::vector<uint32_t> mask(mask_words(vocab_size));
  Napi::Float64Array fill_us = Napi::Float64Array::New(env, tokens.ElementLength());
  size_t n_accepted = 0;
  for (; n_accepted < tokens.ElementLength(); ++n_accepted) {
    const int32_t token = tokens[n_accepted];
    const auto started = std::chrono::steady_clock::now();
    const Allowed allowed = matcher->fill(mask);
    fill_us[n_accepted] = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - started).count();
    if (token < 0 || token >= vocab_size || allowed == Allowed::kNone) break;
    if (allowed == Allowed::kSome && (mask[token / 32] >> (token % 32) & 1) == 0) break;
    if (!matcher->accept(token)) break;
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("numAccepted", static_cast<double>(n_accepted));
  object.Set("isDone", matcher->is_done());
  object.Set("fillUs", fill_us);
  return object;
}

// A compiler, and the promises that wait for it. Public members are for the JavaScript thread.
class GrammarHost : public std::enable_shared_from_this<GrammarHost> {
 public:
  static Napi::Promise start(Napi::Env env, VocabularySpec spec) {
    const std::shared_ptr<GrammarHost> host(new GrammarHost(env));
    host->vocab_size_ = spec.vocab_size;
    host->port_.open(env, "jsg.grammar", host, [raw = host.get()] { raw->tear_down(); });
    try {
      host->load_thread_ =
          std::thread([raw = host.get(), spec = std::move(spec)]() mutable { raw->load(std::move(spec)); });
    } catch (const std::system_error&) {
      host->port_.close();
      throw;
    }
    return host->loading_.Promise();
  }

  Napi::Promise compile(Napi::Env env, GrammarSource source) {
    if (!compiler_) throw Error("E_UNAVAILABLE", "the compiler of grammars has been stopped");
    const uint32_t id = ++last_id_;
    compiler_->compile(std::move(source), [this, id](CompileResult result) {
      port_.post([this, id, result = std::move(result)](Napi::Env loop_env) { on_compiled(loop_env, id, result); });
    });
    const auto deferred = Napi::Promise::Deferred::New(env);
    if (waiting_.empty()) port_.set_referenced(true);
    waiting_.emplace(id, deferred);
    return deferred.Promise();
  }

  int vocab_size() const { return vocab_size_; }
  double cached_bytes() const { return compiler_ ? static_cast<double>(compiler_->cached_bytes()) : 0; }

  // Waits for what is being compiled.
  void stop(Napi::Env env) {
    if (!compiler_) return;
    compiler_.reset();
    for (const auto& [id, deferred] : std::exchange(waiting_, {})) {
      deferred.Reject(make_js_error(env, "E_UNAVAILABLE", "the compiler of grammars has been stopped").Value());
    }
    port_.close();
  }

 private:
  explicit GrammarHost(Napi::Env env) : loading_(env) {}

  void load(VocabularySpec spec) {
    std::string code = "E_OUT_OF_MEMORY", message;
    try {
      auto compiler = std::make_unique<GrammarCompiler>(std::move(spec), GrammarLimits{});
      port_.post(
          [this, compiler = std::move(compiler)](Napi::Env env) mutable { on_loaded(env, std::move(compiler)); });
      return;
    } catch (const Error& error) {
      code = error.code();
      message = error.what();
    } catch (const std::exception& error) {
      message = error.what();
    }
    port_.post([this, code, message](Napi::Env env) {
      load_thread_.join();
      port_.close();
      loading_.Reject(make_js_error(env, code, message).Value());
    });
  }

  void on_loaded(Napi::Env env, std::unique_ptr<GrammarCompiler> compiler);

  void on_compiled(Napi::Env env, uint32_t id, const CompileResult& result) {
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) return;
    const Napi::Promise::Deferred deferred = found->second;
    waiting_.erase(found);
    if (waiting_.empty()) port_.set_referenced(false);
    if (result.grammar) {
      deferred.Resolve(to_js(env, result));
    } else {
      deferred.Reject(make_js_error(env, result.code, result.message).Value());
    }
  }

  void tear_down() {
    if (load_thread_.joinable()) load_thread_.join();
    compiler_.reset();
  }

  LoopPort port_;
  std::thread load_thread_;
  Napi::Promise::Deferred loading_;
  std::unordered_map<uint32_t, Napi::Promise::Deferred> waiting_;
  uint32_t last_id_ = 0;
  int vocab_size_ = 0;
  std::unique_ptr<GrammarCompiler> compiler_;  // last: its threads post to what is above
};

void GrammarHost::on_loaded(Napi::Env env, std::unique_ptr<GrammarCompiler> compiler) {
  load_thread_.join();
  compiler_ = std::move(compiler);
  const auto self = shared_from_this();
  const auto method = [&](Napi::Object& object, const char* name, auto call) {
    object.Set(name, Napi::Function::New(
                         env,
                         [self, call](const Napi::CallbackInfo& info) -> Napi::Value {
                           return with_js_errors(info.Env(), [&]() -> Napi::Value { return call(*self, info); });
                         },
                         name));
  };
  Napi::Object object = Napi::Object::New(env);
  method(object, "compile", [](GrammarHost& host, const Napi::CallbackInfo& info) -> Napi::Value {
    return host.compile(info.Env(), parse_source(info[0]));
  });
  method(object, "follow", [](GrammarHost& host, const Napi::CallbackInfo& info) -> Napi::Value {
    return follow(info.Env(), info, host.vocab_size());
  });
  method(object, "cachedBytes", [](GrammarHost& host, const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Number::New(info.Env(), host.cached_bytes());
  });
  method(object, "stop", [](GrammarHost& host, const Napi::CallbackInfo& info) -> Napi::Value {
    host.stop(info.Env());
    return info.Env().Undefined();
  });
  port_.set_referenced(false);
  loading_.Resolve(object);
}

#endif

}  // namespace

Napi::Value create_grammar_compiler(const Napi::CallbackInfo& info) {
  return with_js_errors(info.Env(), [&]() -> Napi::Value {
#ifdef JSG_XGRAMMAR
    return GrammarHost::start(info.Env(), parse_vocabulary(info[0]));
#else
    throw Error("E_DEVICE_UNSUITABLE", "this build has no XGrammar: it was compiled without its sources");
#endif
  });
}

}  // namespace jsg
