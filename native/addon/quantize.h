// `quantizeMatrix` of src/addon/binding.ts.
#pragma once
#include <napi.h>

namespace jsg {

Napi::Value quantize_matrix_async(const Napi::CallbackInfo& info);

}  // namespace jsg
