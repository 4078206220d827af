# Each kernels_<isa>.cpp compiles the same kernels.inc for one instruction set; the best one the machine has is chosen at
# run time. Nothing else may be compiled with these flags.
set(ISA_avx512_vnni -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx2 -mfma -mf16c)
set(ISA_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c)
set(ISA_avx2 -mavx2 -mfma -mf16c)
set(ISA_neon_dotprod -march=armv8.2-a+dotprod+fp16)
set(ISA_neon -march=armv8-a)
set(ISA_scalar "")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(JSG_ISAS scalar avx2 avx512 avx512_vnni)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(JSG_ISAS scalar neon neon_dotprod)
else()
  set(JSG_ISAS scalar)
endif()

foreach(isa ${JSG_ISAS})
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/backend/cpu/isa/kernels_${isa}.cpp)
  target_sources(jsg_core PRIVATE ${source})
  # GCC 12 takes the undefined lanes inside its own AVX-512 intrinsics for uninitialised variables.
  set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${ISA_${isa}};-ffp-contract=fast;-Wno-maybe-uninitialized;-Wno-uninitialized")
endforeach()
