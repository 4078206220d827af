#include "grammar/json_ending.h"

#include <string_view>

namespace jsg {
namespace {

// Outside of strings, what closes comes before what opens; within a string the quote comes first.
constexpr std::string_view kClosersFirst = "}]\":,0tnf[{-";

class Search {
 public:
  Search(xgrammar::GrammarMatcher& matcher, size_t max_bytes) : matcher_(matcher), max_bytes_(max_bytes) {}
  ~Search() {
    if (n_accepted_ > 0) matcher_.Rollback(n_accepted_);
  }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  std::optional<std::string> run() {
    while (!matcher_.IsCompleted()) {
      const std::string forced = matcher_.FindJumpForwardString();
      if (!(forced.empty() ? advance_by_choice() : advance(forced)) || text_.size() > max_bytes_) return {};
    }
    return text_;
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
  const size_t max_bytes_;
  std::string text_;
  int n_accepted_ = 0;
};

}  // namespace

std::optional<std::string> find_json_ending(xgrammar::GrammarMatcher& matcher, size_t max_bytes) {
  return Search(matcher, max_bytes).run();
}

}  // namespace jsg
