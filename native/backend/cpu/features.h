// Which of the compiled kernels this machine can run.
#pragma once
#include <string>
#include <vector>

#include "backend/cpu/kernels.h"

namespace jsg::cpu {

// Best first; the scalar kernels are always last.
std::vector<const Kernels*> available_kernels();
// The best, or the one named by $JSG_ISA. Throws E_DEVICE_UNSUITABLE for a name that is not available.
const Kernels& select_kernels();

}  // namespace jsg::cpu
