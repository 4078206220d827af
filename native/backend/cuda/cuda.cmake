# The CUDA backend, compiled into jsg_core when an nvcc is found: $CUDACXX, on the PATH, or in /usr/local/cuda. It is run
# by itself rather than as a CMake language: CMake's own check wants a toolkit laid out like NVIDIA's installer does,
# and the compiler from Python wheels is not. The runtime is linked statically and cuBLAS loaded at run time, so that the
# same addon loads where there is no driver.
set(JSG_CUDA "AUTO" CACHE STRING "build the CUDA backend: AUTO (if nvcc is found), ON or OFF")
set(JSG_CUDA_ARCHS "87;90;110" CACHE STRING "SM architectures to compile for")
if(JSG_CUDA STREQUAL "OFF")
  return()
endif()
find_program(JSG_NVCC NAMES "$ENV{CUDACXX}" nvcc PATHS /usr/local/cuda/bin)
if(NOT JSG_NVCC)
  if(JSG_CUDA STREQUAL "ON")
    message(FATAL_ERROR "JSG_CUDA=ON, but no nvcc: set CUDACXX to it, or put it on the PATH")
  endif()
  return()
endif()

get_filename_component(CUDA_HOME ${JSG_NVCC} REALPATH)
get_filename_component(CUDA_HOME ${CUDA_HOME} DIRECTORY)
get_filename_component(CUDA_HOME ${CUDA_HOME} DIRECTORY)
find_library(JSG_CUDART cudart_static PATHS ${CUDA_HOME}/lib ${CUDA_HOME}/lib64 ${CUDA_HOME}/targets/x86_64-linux/lib
             ${CUDA_HOME}/targets/aarch64-linux/lib REQUIRED NO_DEFAULT_PATH)
find_path(JSG_CUDA_INCLUDE cuda_runtime.h PATHS ${CUDA_HOME}/include ${CUDA_HOME}/targets/x86_64-linux/include
          ${CUDA_HOME}/targets/aarch64-linux/include REQUIRED NO_DEFAULT_PATH)

# An architecture this nvcc does not know (110 before CUDA 13, 87 is in all) is left out.
execute_process(COMMAND ${JSG_NVCC} --list-gpu-arch OUTPUT_VARIABLE known OUTPUT_STRIP_TRAILING_WHITESPACE)
set(gencode "")
foreach(arch ${JSG_CUDA_ARCHS})
  if(known MATCHES "compute_${arch}([^0-9]|$)")
    list(APPEND gencode -gencode arch=compute_${arch},code=sm_${arch})
  else()
    message(STATUS "jsg: this nvcc does not know sm_${arch}")
  endif()
endforeach()

file(GLOB CUDA_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/backend/cuda/*.cu)
file(GLOB_RECURSE CUDA_HEADERS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/backend/cuda/*.h ${CMAKE_CURRENT_SOURCE_DIR}/backend/cuda/*.cuh
     ${CMAKE_CURRENT_SOURCE_DIR}/backend/*.h)
foreach(source ${CUDA_SOURCES})
  get_filename_component(name ${source} NAME_WE)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.cu.o)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${JSG_NVCC} -c ${source} -o ${object} -std=c++20 -O3 ${gencode} -I${CMAKE_CURRENT_SOURCE_DIR} -ccbin ${CMAKE_CXX_COMPILER}
            -Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Wextra -Werror all-warnings
    DEPENDS ${source} ${CUDA_HEADERS}
    COMMENT "Building CUDA object ${name}.cu.o"
    COMMAND_EXPAND_LISTS VERBATIM)
  target_sources(jsg_core PRIVATE ${object})
endforeach()
file(GLOB CUDA_HOST_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/backend/cuda/*.cpp)
target_sources(jsg_core PRIVATE ${CUDA_HOST_SOURCES})
target_include_directories(jsg_core SYSTEM PUBLIC ${JSG_CUDA_INCLUDE})
target_compile_definitions(jsg_core PUBLIC JSG_CUDA=1)
target_link_libraries(jsg_core PUBLIC ${JSG_CUDART} ${CMAKE_DL_LIBS} rt)
message(STATUS "jsg: CUDA backend with ${JSG_NVCC} for ${JSG_CUDA_ARCHS}")
