#define JSG_ISA_NEON 1
#define JSG_ISA_NAME "neon"
#define JSG_KERNELS kernels_neon
#include "backend/cpu/isa/kernels.inc"
