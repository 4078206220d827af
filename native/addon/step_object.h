// StepEvents of the runtime as StepEvents of src/addon/binding.ts.
#pragma once
#include <napi.h>

#include "runtime/step_events.h"

namespace jsg {

Napi::Object make_step_object(Napi::Env env, const StepEvents& events);

}  // namespace jsg
