#define JSG_ISA_AVX512 1
#define JSG_ISA_NAME "avx512"
#define JSG_KERNELS kernels_avx512
#include "backend/cpu/isa/kernels.inc"
