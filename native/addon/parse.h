// RuntimeSpec and NativeRequest of src/addon/binding.ts, as the runtime's own types.
#pragma once
#include <napi.h>

#include "model/load.h"
#include "runtime/engine.h"

namespace jsg {

struct RuntimeSpec {
  LoadOptions load;
  EngineOptions engine;  // n_blocks: from the loaded model
};
// Throws E_MODEL_INVALID naming the field.
RuntimeSpec parse_spec(const Napi::Value& value);

// The last three throw E_INVALID_REQUEST naming the field.
Request parse_request(const Napi::Value& value);
// Of a request.
uint32_t parse_id(const Napi::Value& value);
// A handle that a compiler of grammars has given out.
std::shared_ptr<const Grammar> parse_grammar(const Napi::Value& value);

}  // namespace jsg
