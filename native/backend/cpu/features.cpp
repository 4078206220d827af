#include "backend/cpu/features.h"

#include <cstdlib>

#include "error.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
#endif

namespace jsg::cpu {

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> kernels;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (avx512 && __builtin_cpu_supports("avx512vnni")) kernels.push_back(&kernels_avx512_vnni());
  if (avx512) kernels.push_back(&kernels_avx512());
  if (avx2) kernels.push_back(&kernels_avx2());
#elif defined(__aarch64__)
  if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) kernels.push_back(&kernels_neon_dotprod());
  kernels.push_back(&kernels_neon());
#endif
  kernels.push_back(&kernels_scalar());
  return kernels;
}

const Kernels& select_kernels() {
  const std::vector<const Kernels*> kernels = available_kernels();
  const char* wanted = std::getenv("JSG_ISA");
  if (wanted == nullptr || *wanted == '\0') return *kernels.front();
  std::string names;
  for (const Kernels* candidate : kernels) {
    if (std::string(candidate->isa) == wanted) return *candidate;
    names += (names.empty() ? "" : ", ") + std::string(candidate->isa);
  }
  throw Error("E_DEVICE_UNSUITABLE", "JSG_ISA=" + std::string(wanted) + " is not available here; available: " + names);
}

}  // namespace jsg::cpu
