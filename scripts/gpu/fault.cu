// A Node-API module that breaks the process's CUDA context once the file $JSG_FAULT_FILE appears, as a bad kernel would:
//   JSG_FAULT_FILE=/tmp/now node --require ./fault.node bin/jsg.js launch ...
// For run.sh fault alone; no part of jsg.
#include <node_api.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

__global__ void trap_kernel() { __trap(); }

extern "C" __attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env, napi_value exports) {
  const char* file = std::getenv("JSG_FAULT_FILE");
  if (!file) return exports;
  std::thread([file = std::string(file)] {
    while (access(file.c_str(), F_OK) != 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    trap_kernel<<<1, 1>>>();
    (void)cudaDeviceSynchronize();
  }).detach();
  return exports;
}
