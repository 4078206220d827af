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

// Throws E_INVALID_REQUEST naming the field.
Request parse_request(const Napi::Value& value);

}  // namespace jsg
