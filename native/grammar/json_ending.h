// How a JSON text that is cut short can be brought to its end.
#pragma once
#include <xgrammar/matcher.h>

#include <optional>
#include <string>

namespace jsg {

// A short text, found without looking back, after which the grammar is complete: closes what is open, and fills in what
// the schema still asks for with as little as it takes. Empty where it is complete already; none where that is not
// found within `max_bytes`. The matcher stays where it is.
std::optional<std::string> find_json_ending(xgrammar::GrammarMatcher& matcher, size_t max_bytes);

}  // namespace jsg
