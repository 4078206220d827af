#include "grammar/json_ending.h"

#include <string_view>

#include "grammar/budget.h"

namespace jsg {
namespace {

// Outside of strings, what closes comes before what opens; within a string the quote comes first.
constexpr std::string_view kClosersFirst = "}]\":,0tnf[{-";

class Search {
 public:
  Search(xgrammar::GrammarMatcher& matcher, std::string& text) : matcher_(matcher), text_(text) { text_.clear(); }
  ~Search() {
    if (n_accepted_ > 0) matcher_.Rollback(n_accepted_);
  }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  Ending run(size_t max_bytes, int64_t max_allocations) {
    const int64_t last_allocation = Budget::n_allocations() + max_allocations;
    while (!matcher_.IsCompleted()) {
      const std::string forced = matcher_.FindJumpForwardString();
      if (!(forced.empty() ? advance_by_choice() : advance(forced))) return Ending::kStuck;
      if (text_.size() > max_bytes) return Ending::kTooLong;
      if (Budget::n_allocations() > last_allocation) return Ending::kTooHard;
    }
    return Ending::kFound;
  }

 private:
  bool advance(const std::string& bytes) {
    if (!matcher_.AcceptString(bytes)) return false;
    ++n_accepted_;
    text_ += bytes;
    return true;
  }

  bool allows(char byte) {
    if (!matcher_.AcceptString(std::string(1, byte))) return false;
    matcher_.Rollback(1);
    return true;
  }

  bool advance_by_choice() {
    // Only within a string may a letter, a bracket and a quote all come next.
    if (allows('"') && allows('x') && advance("\"")) return true;
    for (const char byte : kClosersFirst) {
      if (advance(std::string(1, byte))) return true;
    }
    for (char byte = '!'; byte <= '~'; ++byte) {
      if (advance(std::string(1, byte))) return true;
    }
    // A character of which the first bytes are there.
    for (int byte = 0x80; byte <= 0xbf; ++byte) {
      if (advance(std::string(1, static_cast<char>(byte)))) return true;
    }
    return advance(" ");
  }

  xgrammar::GrammarMatcher& matcher_;
  std::string& text_;
  int n_accepted_ = 0;
};

}  // namespace

Ending find_json_ending(xgrammar::GrammarMatcher& matcher, size_t max_bytes, int64_t max_allocations,
                        std::string& text) {
  return Search(matcher, text).run(max_bytes, max_allocations);
}

}  // namespace jsg
