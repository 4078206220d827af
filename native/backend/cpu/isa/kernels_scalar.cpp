#define JSG_ISA_SCALAR 1
#define JSG_ISA_NAME "scalar"
#define JSG_KERNELS kernels_scalar
#include "backend/cpu/isa/kernels.inc"
