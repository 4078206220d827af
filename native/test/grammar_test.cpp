// Grammars over a small vocabulary: what is compiled, what a matcher allows, what is forced, and what is too much.
#include "grammar/grammar_compiler.h"

#include <chrono>
#include <future>
#include <string>
#include <thread>

#include "check.h"
#include "error.h"

#ifdef JSG_XGRAMMAR
#include "grammar/budget.h"

using namespace jsg;

namespace {

// Every byte, then words with the merges that make them; the last id ends an answer.
class Words {
 public:
  Words() {
    for (int byte = 0; byte < 256; ++byte) {
      spec.tokens.emplace_back(1, static_cast<char>(byte));
      spec.byte_ids.push_back(byte);
    }
    for (const char* word : {"na", "nam", "name", "{\"", "\":", "\": ", "true", "false"}) add(word);
    stop = static_cast<int32_t>(spec.tokens.size());
    spec.tokens.emplace_back();
    spec.vocab_size = stop + 1;
    spec.stop_ids = {stop};
  }

  int32_t id(std::string_view text) const {
    const auto found = std::find(spec.tokens.begin(), spec.tokens.end(), text);
    return found == spec.tokens.end() ? -1 : static_cast<int32_t>(found - spec.tokens.begin());
  }

  VocabularySpec spec;
  int32_t stop;

 private:
  // A word is made of the longest token that begins it, and the tokens of what is left.
  void add(const std::string& word) {
    std::string left(1, word[0]);
    for (size_t i = 1; i < word.size(); ++i) {
      const int32_t from = id(left), with = id(word.substr(i, 1));
      left += word[i];
      if (id(left) < 0) spec.tokens.push_back(left);
      spec.merges.insert(spec.merges.end(), {from, with, id(left)});
    }
  }
};

CompileResult compile(GrammarCompiler& compiler, GrammarSource source) {
  std::promise<CompileResult> promise;
  compiler.compile(std::move(source), [&](CompileResult result) { promise.set_value(std::move(result)); });
  return promise.get_future().get();
}

std::unique_ptr<TokenMatcher> start(GrammarCompiler& compiler, GrammarKind kind, const std::string& text) {
  const CompileResult result = compile(compiler, {kind, text});
  if (!result.grammar) throw Error(result.code, result.message);
  return result.grammar->start();
}

// The ids that may come next.
std::vector<int32_t> allowed(TokenMatcher& matcher, int vocab_size) {
  std::vector<uint32_t> mask(mask_words(vocab_size));
  std::vector<int32_t> ids;
  const Allowed what = matcher.fill(mask);
  for (int32_t id = 0; id < vocab_size; ++id) {
    if (what == Allowed::kAll || (what == Allowed::kSome && (mask[id / 32] >> (id % 32) & 1) != 0)) ids.push_back(id);
  }
  return ids;
}

bool accepts(TokenMatcher& matcher, const Words& words, std::string_view text) {
  for (const char byte : text) {
    if (!matcher.accept(words.id(std::string_view(&byte, 1)))) return false;
  }
  return matcher.accept(words.stop);
}

constexpr const char* kPerson =
    R"({"type":"object","properties":{"name":{"type":"boolean"}},"required":["name"],"additionalProperties":false})";

}  // namespace

TEST(texts_that_fit_are_accepted_and_others_are_not) {
  const Words words;
  GrammarCompiler compiler(words.spec, {});
  CHECK(accepts(*start(compiler, GrammarKind::kJsonSchema, kPerson), words, R"({"name": true})"));
  CHECK(!accepts(*start(compiler, GrammarKind::kJsonSchema, kPerson), words, R"({"name": 1})"));
  CHECK(accepts(*start(compiler, GrammarKind::kRegex, "[a-c]{2,3}"), words, "abc"));
  CHECK(!accepts(*start(compiler, GrammarKind::kRegex, "[a-c]{2,3}"), words, "abcc"));
  CHECK(accepts(*start(compiler, GrammarKind::kEbnf, "root ::= \"x\" root | \"y\""), words, "xxy"));
  const char* tag =
      R"({"type":"structural_tag","format":{"type":"tag","begin":"<a>","content":{"type":"any_text"},"end":"</a>"}})";
  CHECK(accepts(*start(compiler, GrammarKind::kStructuralTag, tag), words, "<a>anything</a>"));
}

TEST(an_answer_is_done_with_the_token_that_ends_it) {
  const Words words;
  GrammarCompiler compiler(words.spec, {});
  const auto matcher = start(compiler, GrammarKind::kRegex, "ab");
  CHECK(allowed(*matcher, words.spec.vocab_size) == std::vector<int32_t>({'a'}));
  CHECK(matcher->accept('a') && matcher->accept('b') && !matcher->is_done());
  CHECK(allowed(*matcher, words.spec.vocab_size) == std::vector<int32_t>({words.stop}));
  CHECK(matcher->accept(words.stop) && matcher->is_done());
  CHECK(allowed(*matcher, words.spec.vocab_size).empty());
}

TEST(forced_texts_are_spelled_as_the_tokenizer_would) {
  const Words words;
  GrammarCompiler compiler(words.spec, {});
  const auto matcher = start(compiler, GrammarKind::kEbnf, "root ::= \"{\\\"name\\\": \" (\"true\" | \"false\")");
  std::vector<int32_t> forced;
  matcher->find_forced(64, forced);
  // Of `{"name": ` the last token stays: none that is longer can follow.
  CHECK(forced == std::vector<int32_t>({words.id("{\""), words.id("name"), words.id("\": ")}));
  for (const int32_t token : forced) CHECK(matcher->accept(token));
  matcher->find_forced(64, forced);
  CHECK(forced.empty());
  // Looking ahead has moved nothing.
  CHECK(matcher->accept(words.id("true")) && matcher->accept(words.stop));
}

TEST(a_token_that_may_grow_over_the_end_of_a_forced_text_is_not_forced) {
  const Words words;
  GrammarCompiler compiler(words.spec, {});
  // `xna` is forced, but the tokenizer would write `xname` with `name`.
  const auto matcher = start(compiler, GrammarKind::kEbnf, "root ::= \"xna\" (\"me\" | \"b\")");
  std::vector<int32_t> forced;
  matcher->find_forced(64, forced);
  CHECK(forced == std::vector<int32_t>({'x'}));
}

TEST(json_is_closed_before_it_is_cut) {
  const Words words;
  GrammarCompiler compiler(words.spec, {});
  const char* schema =
      R"({"type":"object","properties":{"a":{"type":"array","items":{"type":"string"}},"b":{"type":"integer"}},"required":["a","b"]})";
  const auto matcher = start(compiler, GrammarKind::kJsonSchema, schema);
  for (const char byte : std::string_view(R"({"a": ["x", "y)")) CHECK(matcher->accept(byte));
  std::vector<int32_t> ending;
  CHECK(!matcher->must_end(100, ending));
  CHECK(matcher->must_end(16, ending));
  std::string text;
  for (const int32_t token : ending) text += words.spec.tokens[token];
  CHECK(text == R"("],"b":0})" || text == R"("], "b": 0})");
  CHECK(!matcher->must_end(3, ending));  // too late
  CHECK(matcher->accept('"') && matcher->accept(']'));
}

TEST(complete_json_ends_itself_while_there_is_room) {
  const Words words;
  GrammarCompiler compiler(words.spec, {});
  const auto matcher = start(compiler, GrammarKind::kJsonSchema, kPerson);
  for (const char byte : std::string_view(R"({"name": true)")) CHECK(matcher->accept(byte));
  std::vector<int32_t> ending;
  CHECK(matcher->must_end(2, ending) && ending == std::vector<int32_t>({'}'}));
  CHECK(matcher->accept('}'));
  CHECK(!matcher->must_end(2, ending) && ending.empty());
  CHECK(matcher->accept(words.stop) && matcher->is_done());
  const auto number = start(compiler, GrammarKind::kJsonSchema, R"({"type":"number"})");
  CHECK(number->accept('1') && !number->must_end(3, ending) && number->accept('e'));
  CHECK(number->must_end(2, ending) && ending.size() == 1);
  CHECK(number->accept('5') && number->must_end(1, ending) && ending.empty());
}

TEST(an_ending_out_of_reach_is_not_looked_for_long) {
  const Words words;
  GrammarCompiler compiler(words.spec, {});
  const char* schema = R"({"type":"array","items":{"type":"string"},"minItems":1000})";
  const auto matcher = start(compiler, GrammarKind::kJsonSchema, schema);
  for (const char byte : std::string_view("[\"")) CHECK(matcher->accept(byte));
  std::vector<int32_t> ending;
  int64_t n_allocations = 0;
  for (int n_left = 500; n_left > 0; --n_left) {
    {
      const Budget from_zero({std::chrono::milliseconds(1), 1});
    }
    CHECK(!matcher->must_end(n_left, ending));
    n_allocations += Budget::n_allocations();
    CHECK(matcher->accept('x'));
  }
  // A hundred items to their end take twenty thousand.
  CHECK(n_allocations > 0 && n_allocations < 40'000);
}

TEST(wrong_grammars_say_where) {
  const Words words;
  GrammarCompiler compiler(words.spec, {});
  const auto message = [&](GrammarKind kind, const std::string& text) {
    const CompileResult result = compile(compiler, {kind, text});
    CHECK(result.grammar == nullptr && result.code == "E_GRAMMAR_INVALID");
    return result.message;
  };
  CHECK(message(GrammarKind::kRegex, "[a").find("position 3") != std::string::npos);
  CHECK(message(GrammarKind::kEbnf, "root ::= a").find("line 1, column 10") != std::string::npos);
  // What the library would leave out with a warning is refused.
  CHECK(message(GrammarKind::kJsonSchema, R"({"type": "number", "multipleOf": 0.1})").find("multipleOf") !=
        std::string::npos);
  CHECK(!message(GrammarKind::kStructuralTag, "{").empty());
}

TEST(compiling_has_limits) {
  const Words words;
  GrammarCompiler compiler(words.spec, {.compile_ms = 200, .compile_bytes = size_t{64} << 20});
  const std::string deep = std::string(30000, '(') + "a" + std::string(30000, ')');
  for (const GrammarSource& source :
       {GrammarSource{GrammarKind::kRegex, "((((a{1,1000}){1,1000}){1,1000}b?){1,1000})"},
        GrammarSource{GrammarKind::kRegex, "(a|b)*a(a|b){24}c"}, GrammarSource{GrammarKind::kRegex, deep},
        GrammarSource{GrammarKind::kEbnf, "root ::= " + deep}}) {
    const auto started = std::chrono::steady_clock::now();
    const CompileResult result = compile(compiler, source);
    CHECK(result.grammar != nullptr || !result.code.empty());
    CHECK(std::chrono::steady_clock::now() - started < std::chrono::seconds(20));
  }
  // Of rules in terms of themselves the library never gets to the end.
  const CompileResult endless = compile(compiler, {GrammarKind::kEbnf, "root ::= root{1000}"});
  CHECK(endless.code == "E_GRAMMAR_LIMIT" && endless.message == "compiling it recursed too deeply");
  // It goes on to work.
  CHECK(accepts(*start(compiler, GrammarKind::kRegex, "ab"), words, "ab"));
}

TEST(what_was_compiled_is_kept_within_bytes) {
  const Words words;
  GrammarCompiler compiler(words.spec, {.cache_bytes = 100000});
  const CompileResult first = compile(compiler, {GrammarKind::kRegex, "abc"});
  CHECK(first.compile_ms > 0 && first.bytes > 0);
  CHECK(compile(compiler, {GrammarKind::kRegex, "abc"}).compile_ms == 0);
  for (int i = 0; i < 200; ++i) {
    CHECK(compile(compiler, {GrammarKind::kRegex, "x" + std::to_string(i)}).grammar != nullptr);
    CHECK(compiler.cached_bytes() <= 100000);
  }
  CHECK(compile(compiler, {GrammarKind::kRegex, "abc"}).compile_ms > 0);
}

namespace {

// As the library does: deeper than any stack, and allocating ever less often.
void recurse(std::vector<int>& visited, int depth) {  // NOLINT(misc-no-recursion)
  if (depth == 0) return;
  visited.push_back(depth);
  recurse(visited, depth - 1);
  visited.push_back(0);
}

}  // namespace

TEST(a_budget_ends_a_recursion_before_the_stack_does) {
  bool has_thrown = false;
  std::thread([&] {
    std::vector<int> visited;
    try {
      const Budget budget({std::chrono::milliseconds(60000), size_t{1} << 30});
      recurse(visited, INT32_MAX);
    } catch (const BudgetExceeded& exceeded) {
      has_thrown = exceeded.kind() == BudgetExceeded::Kind::kDepth;
    }
  }).join();
  CHECK(has_thrown);
}

TEST(a_budget_counts_what_is_allocated_and_throws_once) {
  const auto hold = [](size_t n) { return std::vector<std::string>(n, std::string(100, 'x')).size(); };
  {
    const Budget budget({std::chrono::milliseconds(60000), size_t{1} << 20});
    CHECK(hold(10) == 10);
    bool has_thrown = false;
    try {
      std::vector<std::vector<char>> blocks;
      for (int i = 0; i < 100; ++i) blocks.emplace_back(100000);
    } catch (const BudgetExceeded& exceeded) {
      has_thrown = exceeded.kind() == BudgetExceeded::Kind::kMemory;
    }
    CHECK(has_thrown);
    CHECK(hold(100000) == 100000);
  }
  const Budget budget({std::chrono::milliseconds(5), size_t{1} << 30});
  bool is_late = false;
  try {
    for (;;) (void)hold(1000);
  } catch (const BudgetExceeded& exceeded) {
    is_late = exceeded.kind() == BudgetExceeded::Kind::kTime;
  }
  CHECK(is_late);
}

#else
TEST(grammars) { std::printf("     skipped: built without XGrammar\n"); }
#endif

TEST_MAIN()
