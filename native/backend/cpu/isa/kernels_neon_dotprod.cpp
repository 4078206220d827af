#define JSG_ISA_NEON_DOTPROD 1
#define JSG_ISA_NAME "neon-dotprod"
#define JSG_KERNELS kernels_neon_dotprod
#include "backend/cpu/isa/kernels.inc"
