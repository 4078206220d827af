#include "grammar/grammar_compiler.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "error.h"
#include "grammar/xgrammar_grammar.h"
#include "grammar/xgrammar_log.h"

namespace jsg {
namespace {

using Clock = std::chrono::steady_clock;

// The library walks grammars by recursion; a Budget leaves it a quarter of this.
constexpr size_t kStackBytes = size_t{128} << 20;
// One long compilation does not hold up all others.
constexpr int kThreads = 2;
// Compiling yields to decoding.
constexpr int kNiceness = 10;

// The least recently used grammars go when there is no room.
class GrammarCache {
 public:
  explicit GrammarCache(size_t max_bytes) : max_bytes_(max_bytes) {}

  std::shared_ptr<const Grammar> find(const std::string& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return found->second->grammar;
  }

  void add(const std::string& key, std::shared_ptr<const Grammar> grammar, size_t bytes) {
    bytes += 2 * key.size();
    if (bytes > max_bytes_ || entries_.contains(key)) return;
    order_.push_front({key, std::move(grammar), bytes});
    entries_[key] = order_.begin();
    bytes_ += bytes;
    while (bytes_ > max_bytes_) {
      bytes_ -= order_.back().bytes;
      entries_.erase(order_.back().key);
      order_.pop_back();
    }
  }

  size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const Grammar> grammar;
    size_t bytes;
  };
  const size_t max_bytes_;
  size_t bytes_ = 0;
  std::list<Entry> order_;
  std::unordered_map<std::string, std::list<Entry>::iterator> entries_;
};

std::string key_of(const GrammarSource& source) {
  const char flags[] = {static_cast<char>('0' + static_cast<int>(source.kind)), source.strict ? 's' : '-',
                        source.any_order ? 'a' : '-', '\0'};
  return flags + source.text;
}

}  // namespace

class GrammarCompiler::Worker {
 public:
  Worker(VocabularySpec vocabulary, const GrammarLimits& limits)
      : limits_(limits),
        vocabulary_(std::make_shared<Vocabulary>(std::move(vocabulary))),
        tokenizer_(vocabulary_->spec().tokens, xgrammar::VocabType::RAW, vocabulary_->spec().vocab_size,
                   vocabulary_->spec().stop_ids),
        uncached_(tokenizer_, 1, false),
        compiler_(tokenizer_, 1, true, static_cast<int64_t>(limits.cache_bytes)),
        cache_(limits.cache_bytes) {
    warm_up();
    for (int i = 0; i < kThreads; ++i) start_thread();
  }

  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      jobs_.clear();
    }
    wake_.notify_all();
    for (const pthread_t thread : threads_) pthread_join(thread, nullptr);
  }

  void compile(GrammarSource source, Done done) {
    {
      const std::lock_guard lock(mutex_);
      if (jobs_.size() >= limits_.max_waiting) {
        throw Error("E_QUEUE_FULL", std::to_string(jobs_.size()) + " grammars wait to be compiled");
      }
      jobs_.push_back({std::move(source), std::move(done)});
    }
    wake_.notify_one();
  }

  size_t cached_bytes() const {
    const std::lock_guard lock(mutex_);
    return cache_.bytes();
  }

 private:
  struct Job {
    GrammarSource source;
    Done done;
  };

  // Masks of rules that grammars have in common (strings, numbers, white space) are kept by the library; the first
  // request is not to pay for them.
  void warm_up() {
    constexpr const char* kCommon =
        R"({"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"},"c":{"type":"number"},)"
        R"("d":{"type":"string","format":"email"},"e":{"type":"array","items":{"type":"string"}},"f":{},"g":{"type":"null"}},)"
        R"("required":["a","b","c","d","e","f","g"]})";
    for (const bool strict : {true, false}) (void)result_of({GrammarKind::kJsonSchema, kCommon, strict, false});
  }

  void start_thread() {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStackBytes);
    pthread_t thread;
    const auto body = [](void* self) -> void* {
      (void)setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness);
      static_cast<Worker*>(self)->run();
      return nullptr;
    };
    const int status = pthread_create(&thread, &attributes, body, this);
    pthread_attr_destroy(&attributes);
    if (status != 0) throw Error("E_OUT_OF_MEMORY", "no thread for compiling grammars");
    threads_.push_back(thread);
  }

  void run() {
    while (std::optional<Job> job = next_job()) job->done(result_of(job->source));
  }

  std::optional<Job> next_job() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return {};
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
  }

  CompileResult result_of(const GrammarSource& source) {
    const std::string key = key_of(source);
    CompileResult result;
    {
      const std::lock_guard lock(mutex_);
      result.grammar = cache_.find(key);
    }
    if (result.grammar) return result;
    const auto started = Clock::now();
    try {
      auto grammar = compile_now(source);
      result.bytes = grammar->bytes();
      result.grammar = std::move(grammar);
    } catch (const BudgetExceeded& exceeded) {
      forget_failures();
      result.code = "E_GRAMMAR_LIMIT";
      result.message = std::string("compiling it ") + exceeded.what();
      if (exceeded.kind() == BudgetExceeded::Kind::kTime) {
        result.message += " (limit " + std::to_string(limits_.compile_ms) + " ms)";
      } else if (exceeded.kind() == BudgetExceeded::Kind::kMemory) {
        result.message += " (limit " + std::to_string(limits_.compile_bytes >> 20) + " MiB)";
      }
    } catch (const Error& error) {
      result.code = error.code();
      result.message = error.what();
    } catch (const std::exception& error) {
      result.code = "E_GRAMMAR_INVALID";
      result.message = error.what();
    }
    result.compile_ms = std::chrono::duration<double, std::milli>(Clock::now() - started).count();
    const std::lock_guard lock(mutex_);
    if (result.grammar) cache_.add(key, result.grammar, result.bytes);
    return result;
  }

  // The library remembers failures too, with the grammar, and counts them as nothing.
  void forget_failures() {
    constexpr int kMaxRemembered = 16;
    if (++n_exceeded_ % kMaxRemembered == 0) compiler_.ClearCache();
  }

  // The library warns of what it then leaves out of the grammar: a grammar that allows more than was asked for is none.
  std::shared_ptr<const XgrammarGrammar> compile_now(const GrammarSource& source) {
    const WarningCollector collector;
    std::optional<xgrammar::CompiledGrammar> compiled;
    {
      const Budget budget({std::chrono::milliseconds(limits_.compile_ms), limits_.compile_bytes});
      const xgrammar::Grammar parsed = grammar_of(source);
      refuse_warnings(collector);
      try {
        compiled = compile_parsed(source);
      } catch (const BudgetExceeded&) {
        throw;
      } catch (const std::runtime_error&) {
        // It cannot tell every rule from every other for its cache, and fails where it cannot.
        compiled = uncached_.CompileGrammar(parsed);
      }
      if (!has_first_token(*compiled)) throw Error("E_GRAMMAR_INVALID", "no text of the model's tokens fits it");
    }
    refuse_warnings(collector);
    const BudgetLimits per_step{std::chrono::milliseconds(limits_.step_ms), limits_.step_bytes};
    return std::make_shared<XgrammarGrammar>(std::move(*compiled), vocabulary_, per_step,
                                             source.kind == GrammarKind::kJsonSchema);
  }

  static void refuse_warnings(const WarningCollector& collector) {
    if (!collector.warnings().empty()) throw Error("E_GRAMMAR_INVALID", collector.warnings().front());
  }

  // False for `root ::= root "a"`, which never gets to a character.
  bool has_first_token(const xgrammar::CompiledGrammar& compiled) const {
    xgrammar::GrammarMatcher matcher(compiled);
    std::vector<uint32_t> mask(mask_words(vocabulary_->spec().vocab_size));
    return fill_mask(matcher, mask) != Allowed::kNone;
  }

  // Of a source that has been parsed without fault: the library would keep what is wrong as well. Not by way of the
  // parsed grammar, which it would print and read again, and "\xdf" before an e as "\xdfe".
  xgrammar::CompiledGrammar compile_parsed(const GrammarSource& source) {
    switch (source.kind) {
      case GrammarKind::kJsonSchema:
        return compiler_.CompileJSONSchema(source.text, true, std::nullopt, std::nullopt, source.strict, std::nullopt,
                                           source.any_order);
      case GrammarKind::kRegex:
        return compiler_.CompileRegex(source.text);
      case GrammarKind::kEbnf:
        return compiler_.CompileGrammar(source.text);
      case GrammarKind::kStructuralTag:
        break;
    }
    return compiler_.CompileStructuralTag(source.text);
  }

  xgrammar::Grammar grammar_of(const GrammarSource& source) const {
    switch (source.kind) {
      case GrammarKind::kJsonSchema:
        return xgrammar::Grammar::FromJSONSchema(source.text, true, std::nullopt, std::nullopt, source.strict,
                                                 std::nullopt, false, source.any_order);
      case GrammarKind::kRegex:
        return xgrammar::Grammar::FromRegex(source.text);
      case GrammarKind::kEbnf:
        return xgrammar::Grammar::FromEBNF(source.text);
      case GrammarKind::kStructuralTag:
        break;
    }
    auto tagged = xgrammar::Grammar::FromStructuralTag(source.text, tokenizer_);
    if (auto* grammar = std::get_if<xgrammar::Grammar>(&tagged)) return std::move(*grammar);
    const auto& error = std::get<xgrammar::StructuralTagError>(tagged);
    throw Error("E_GRAMMAR_INVALID", std::visit([](const auto& kind) { return std::string(kind.what()); }, error));
  }

  const GrammarLimits limits_;
  const std::shared_ptr<const Vocabulary> vocabulary_;
  const xgrammar::TokenizerInfo tokenizer_;
  xgrammar::GrammarCompiler uncached_;
  xgrammar::GrammarCompiler compiler_;

  std::atomic<int> n_exceeded_ = 0;

  mutable std::mutex mutex_;  // of all below
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  GrammarCache cache_;
  bool stopping_ = false;
  std::vector<pthread_t> threads_;
};

GrammarCompiler::GrammarCompiler(VocabularySpec vocabulary, const GrammarLimits& limits)
    : worker_(std::make_unique<Worker>(std::move(vocabulary), limits)) {}

GrammarCompiler::~GrammarCompiler() = default;

void GrammarCompiler::compile(GrammarSource source, Done done) { worker_->compile(std::move(source), std::move(done)); }

size_t GrammarCompiler::cached_bytes() const { return worker_->cached_bytes(); }

}  // namespace jsg
