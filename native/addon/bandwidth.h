// measureReadBandwidth of src/addon/binding.ts.
#pragma once
#include <napi.h>

namespace jsg {

// Arguments: device, bytes, numThreads. A promise of GB/s, measured off the event loop.
Napi::Value measure_read_bandwidth_async(const Napi::CallbackInfo& info);

}  // namespace jsg
