// A grammar as XGrammar compiles it, and an answer on its way through one.
#pragma once
#include <xgrammar/compiler.h>
#include <xgrammar/matcher.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "grammar/budget.h"
#include "grammar/vocabulary.h"
#include "runtime/token_matcher.h"

namespace jsg {

// Which tokens may come next: bits of `mask`, (vocabulary,), set where all of them are not.
Allowed fill_mask(xgrammar::GrammarMatcher& matcher, std::span<uint32_t> mask);

class XgrammarGrammar final : public Grammar {
 public:
  // is_json: its texts are JSON, which is closed in time where an answer gets too long.
  XgrammarGrammar(xgrammar::CompiledGrammar compiled, std::shared_ptr<const Vocabulary> vocabulary,
                  BudgetLimits per_step, bool is_json)
      : compiled_(std::move(compiled)), vocabulary_(std::move(vocabulary)), per_step_(per_step), is_json_(is_json) {}

  // Throws E_GRAMMAR_LIMIT.
  std::unique_ptr<TokenMatcher> start() const override;
  size_t bytes() const { return compiled_.MemorySizeBytes(); }

 private:
  xgrammar::CompiledGrammar compiled_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  BudgetLimits per_step_;
  bool is_json_;
};

}  // namespace jsg
