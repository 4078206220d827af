#define JSG_ISA_AVX512_VNNI 1
#define JSG_ISA_NAME "avx512-vnni"
#define JSG_KERNELS kernels_avx512_vnni
#include "backend/cpu/isa/kernels.inc"
