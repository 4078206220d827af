// Compiles grammars on threads of its own, and keeps what it has compiled while there is room.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "grammar/vocabulary.h"
#include "runtime/token_matcher.h"

namespace jsg {

enum class GrammarKind : uint8_t { kJsonSchema, kRegex, kEbnf, kStructuralTag };

struct GrammarSource {
  GrammarKind kind;
  std::string text;        // well-formed UTF-8
  bool strict = true;      // kJsonSchema: objects and lists have nothing that the schema does not name
  bool any_order = false;  // kJsonSchema: properties in any order, not only in that of the schema
};

struct GrammarLimits {
  int compile_ms = 5000;
  size_t compile_bytes = size_t{1} << 30;  // allocated at one time by one compilation
  int step_ms = 100;                       // of one token of one answer
  size_t step_bytes = size_t{128} << 20;
  size_t cache_bytes = size_t{128} << 20;
  size_t max_waiting = 256;  // compilations that wait beside those that run
};

// What came of a compilation: a grammar, or an error code and why.
struct CompileResult {
  std::shared_ptr<const Grammar> grammar;
  std::string code, message;
  double compile_ms = 0;  // 0: from the cache
  size_t bytes = 0;       // that the grammar takes
};

class GrammarCompiler {
 public:
  // On the compiler's thread, once; must not throw.
  using Done = std::function<void(CompileResult)>;

  // Sorts the vocabulary: a good 100 ms for one of 128k.
  GrammarCompiler(VocabularySpec vocabulary, const GrammarLimits& limits);
  // Drops what waits (its Done is destroyed without a call), and waits for what runs.
  ~GrammarCompiler();

  // Returns at once. Throws E_QUEUE_FULL.
  void compile(GrammarSource source, Done done);

  size_t cached_bytes() const;

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

// Whether this build has grammars at all.
constexpr bool has_grammars() {
#ifdef JSG_XGRAMMAR
  return true;
#else
  return false;
#endif
}

}  // namespace jsg
