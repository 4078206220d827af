# The CUDA backend, compiled into jsg_core when an nvcc is found: $CUDACXX, on the PATH, or in /usr/local/cuda. It is run
# by itself rather than as a CMake language: CMake's own check wants a toolkit laid out like NVIDIA's installer does,
# and the compiler from Python wheels is not. The runtime is linked statically and cuBLAS loaded at run time, so that the
# same addon loads where there is no driver.
#
# Each .cu file is one job of the build, for all architectures. Target jsg_cuda_objects is these jobs alone: a board with
# little memory builds them one at a time, and the rest on all cores.
set(JSG_CUDA "AUTO" CACHE STRING "build the CUDA backend: AUTO (if nvcc is found), ON or OFF")
set(JSG_CUDA_ARCHS "" CACHE STRING "SM architectures, such as 87;90; empty: those of the package that this nvcc knows")

# Orin; Hopper; Thor; Blackwell on desktops; DGX Spark.
set(PACKAGE_ARCHS 87 90 110 120 121)
# What has wgmma in it is for sm_90a, where no other GPU's code may have it; the rest of Hopper's cubins is for sm_90 and
# comes from the same PTX as goes along: plain compute_90, which the driver compiles for every newer GPU that has no cubin
# here (B200, and what comes next). Not PTX of the highest, which only its successors could take; not of 87, whose code
# lacks the dependent launch that the host asks of a GPU from sm_90 on.
set(HOPPER 90)
set(HOPPER_SOURCES prefill_attention.cu prefill_products.cu)

macro(jsg_without_cuda)
  add_custom_target(jsg_cuda_objects)
  return()
endmacro()

# What keeps the backend from being built is an error where it was asked for, and a warning where nvcc merely was there.
macro(jsg_cuda_fails reason)
  if(JSG_CUDA STREQUAL "ON")
    message(FATAL_ERROR "jsg: JSG_CUDA=ON, but ${reason}")
  endif()
  message(WARNING "jsg: built without CUDA: ${reason}")
  jsg_without_cuda()
endmacro()

if(JSG_CUDA STREQUAL "OFF")
  jsg_without_cuda()
endif()
if(NOT JSG_CUDA MATCHES "^(ON|AUTO)$")
  message(FATAL_ERROR "jsg: JSG_CUDA=${JSG_CUDA}: it is AUTO, ON or OFF")
endif()

# nvcc stays what it was when CMake runs again by itself, in an environment that may name another or none.
if(NOT "$ENV{CUDACXX}" STREQUAL "")
  unset(JSG_NVCC CACHE)
  find_program(JSG_NVCC NAMES "$ENV{CUDACXX}")
  if(NOT JSG_NVCC)
    jsg_cuda_fails("CUDACXX=$ENV{CUDACXX} is not there")
  endif()
elseif(JSG_NVCC AND NOT EXISTS "${JSG_NVCC}")
  unset(JSG_NVCC CACHE)
endif()
find_program(JSG_NVCC NAMES nvcc PATHS /usr/local/cuda/bin /opt/cuda/bin)
if(NOT JSG_NVCC)
  if(JSG_CUDA STREQUAL "ON")
    jsg_cuda_fails("there is no nvcc: set CUDACXX to it, or put it on the PATH")
  endif()
  message(STATUS "jsg: no nvcc found, built without CUDA")
  jsg_without_cuda()
endif()
execute_process(COMMAND ${JSG_NVCC} --version OUTPUT_VARIABLE nvcc_version)
string(REGEX MATCH "release ([0-9.]+)" nvcc_version "${nvcc_version}")
set(nvcc_version "CUDA ${CMAKE_MATCH_1}")

# Runtime and headers of NVIDIA's installer, of the wheels (lib, include), and of Debian (/usr).
get_filename_component(CUDA_HOME ${JSG_NVCC} REALPATH)
get_filename_component(CUDA_HOME ${CUDA_HOME} DIRECTORY)
get_filename_component(CUDA_HOME ${CUDA_HOME} DIRECTORY)
file(GLOB cuda_targets ${CUDA_HOME}/targets/${CMAKE_SYSTEM_PROCESSOR}-linux ${CUDA_HOME}/targets/sbsa-linux)
unset(JSG_CUDART CACHE)
unset(JSG_CUDA_INCLUDE CACHE)
find_library(JSG_CUDART cudart_static PATHS ${CUDA_HOME} ${cuda_targets}
             PATH_SUFFIXES lib64 lib lib/${CMAKE_LIBRARY_ARCHITECTURE} NO_DEFAULT_PATH)
find_path(JSG_CUDA_INCLUDE cuda_runtime.h PATHS ${CUDA_HOME} ${cuda_targets} PATH_SUFFIXES include NO_DEFAULT_PATH)
if(NOT JSG_CUDART OR NOT JSG_CUDA_INCLUDE)
  jsg_cuda_fails("beside ${JSG_NVCC} there is no libcudart_static.a with cuda_runtime.h (package cuda-cudart-dev)")
endif()

# An architecture of the package that this nvcc does not know is left out; one that was asked for is not.
execute_process(COMMAND ${JSG_NVCC} --list-gpu-arch OUTPUT_VARIABLE known)
string(REGEX MATCHALL "[0-9]+" known "${known}")
string(REPLACE "," ";" archs "${JSG_CUDA_ARCHS}")
set(asked TRUE)
if(NOT archs)
  set(asked FALSE)
  set(archs ${PACKAGE_ARCHS})
endif()
set(gencode "")
set(gencode_hopper "")
set(gencode_rest "")
set(built "")
foreach(arch ${archs})
  # Thor is sm_101 in CUDA 12.8 and 12.9.
  if(arch EQUAL 110 AND NOT 110 IN_LIST known AND 101 IN_LIST known)
    set(arch 101)
  endif()
  if(NOT arch IN_LIST known)
    if(asked)
      list(JOIN known ", " known)
      jsg_cuda_fails("${nvcc_version} does not know sm_${arch}; it knows ${known}")
    endif()
    message(STATUS "jsg: ${nvcc_version} does not know sm_${arch}")
    continue()
  endif()
  list(APPEND built sm_${arch})
  if(arch EQUAL HOPPER)
    list(APPEND gencode -gencode=arch=compute_${arch},code=compute_${arch})
    set(gencode_hopper -gencode=arch=compute_${arch}a,code=sm_${arch}a)
    set(gencode_rest -gencode=arch=compute_${arch},code=sm_${arch})
  elseif(arch EQUAL 121)
    # What compute_121 adds is not used here: one PTX for both takes half the time.
    list(APPEND gencode -gencode=arch=compute_120,code=sm_${arch})
  else()
    list(APPEND gencode -gencode=arch=compute_${arch},code=sm_${arch})
  endif()
endforeach()
list(JOIN built " " built)

set(NVCC_FLAGS -std=c++20 -O3 -I${CMAKE_CURRENT_SOURCE_DIR} -ccbin=${CMAKE_CXX_COMPILER}
               -Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Wextra)
# As in a build for development; a user's newer nvcc may warn of what nobody has seen yet.
if(JSG_TESTS)
  list(APPEND NVCC_FLAGS -Werror=all-warnings)
endif()

set(CUDA_DIR ${CMAKE_CURRENT_BINARY_DIR}/cuda)
file(MAKE_DIRECTORY ${CUDA_DIR})
# That nvcc and this host compiler go together shows best before the build (nvcc refuses a g++ newer than itself).
set(probe "${JSG_NVCC} ${nvcc_version} ${NVCC_FLAGS}")
if(NOT probe STREQUAL "${JSG_NVCC_WORKS}")
  file(WRITE ${CUDA_DIR}/probe.cu "#include <concepts>\n#include <cuda_runtime.h>\n__global__ void probe_kernel() {}\n")
  execute_process(COMMAND ${JSG_NVCC} ${NVCC_FLAGS} -c ${CUDA_DIR}/probe.cu -o ${CUDA_DIR}/probe.o
                  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    jsg_cuda_fails("nvcc fails with ${CMAKE_CXX_COMPILER} (CXX names another compiler):\n${output}")
  endif()
  set(JSG_NVCC_WORKS "${probe}" CACHE INTERNAL "")
endif()

# Make does not build anew when a command has changed, so every object depends on this file.
set(flags ${JSG_NVCC} ${NVCC_FLAGS} ${gencode} ${gencode_hopper} ${gencode_rest} ${HOPPER_SOURCES})
list(JOIN flags "\n" flags)
file(CONFIGURE OUTPUT ${CUDA_DIR}/flags.txt CONTENT "${flags}\n")

set(objects "")
file(GLOB_RECURSE CUDA_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/backend/cuda/*.cu)
foreach(source ${CUDA_SOURCES})
  file(RELATIVE_PATH name ${CMAKE_CURRENT_SOURCE_DIR}/backend/cuda ${source})
  string(REPLACE "/" "." name ${name})
  set(object ${CUDA_DIR}/${name}.o)
  if(name IN_LIST HOPPER_SOURCES)
    set(of_source ${gencode} ${gencode_hopper} -DJSG_HOPPER_SOURCE)
  else()
    set(of_source ${gencode} ${gencode_rest})
  endif()
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${JSG_NVCC} ${NVCC_FLAGS} ${of_source} -MD -MF ${object}.d -c ${source} -o ${object}
    DEPENDS ${source} ${CUDA_DIR}/flags.txt
    DEPFILE ${object}.d
    COMMENT "Building CUDA object ${name}.o"
    VERBATIM)
  list(APPEND objects ${object})
endforeach()
add_custom_target(jsg_cuda_objects DEPENDS ${objects})
add_dependencies(jsg_core jsg_cuda_objects)

file(GLOB CUDA_HOST_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/backend/cuda/*.cpp)
target_sources(jsg_core PRIVATE ${objects} ${CUDA_HOST_SOURCES})
target_include_directories(jsg_core SYSTEM PUBLIC ${JSG_CUDA_INCLUDE})
target_compile_definitions(jsg_core PUBLIC JSG_CUDA=1)
target_link_libraries(jsg_core PUBLIC ${JSG_CUDART} ${CMAKE_DL_LIBS} rt)
# Another addon in the process may carry a runtime of its own: theirs and ours must not see each other.
target_link_options(jsg_core INTERFACE LINKER:--exclude-libs,libcudart_static.a)
message(STATUS "jsg: CUDA backend for ${built} with ${nvcc_version} (${JSG_NVCC})")
