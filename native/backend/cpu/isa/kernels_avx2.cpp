#define JSG_ISA_AVX2 1
#define JSG_ISA_NAME "avx2"
#define JSG_KERNELS kernels_avx2
#include "backend/cpu/isa/kernels.inc"
