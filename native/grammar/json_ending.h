// How a JSON text that is cut short can be brought to its end.
#pragma once
#include <xgrammar/matcher.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace jsg {

enum class Ending : uint8_t {
  kFound,
  kTooLong,  // more bytes than it may be
  kTooHard,  // more work than it may be
  kStuck,    // no character that is tried may come next
};

// A short text, found without looking back, after which the grammar is complete: closes what is open, and fills in what
// the schema still asks for with as little as it takes. Empty where it is complete already. `text` is that, and all
// that was tried where it is not found. The matcher stays where it is. Under a Budget: the work is counted in
// allocations.
Ending find_json_ending(xgrammar::GrammarMatcher& matcher, size_t max_bytes, int64_t max_allocations,
                        std::string& text);

}  // namespace jsg
