# What every target of ours is compiled with. Warnings stay private; the instruction set is public, because Eigen's alignment
# (hence the layout of what crosses our headers) depends on it.
if(NOT DEFINED CMAKE_COMPILE_WARNING_AS_ERROR)  # cmake --compile-no-warning-as-error: for compilers that we have not tried
  set(CMAKE_COMPILE_WARNING_AS_ERROR ${PROJECT_IS_TOP_LEVEL})
endif()
add_library(gradflow_warnings INTERFACE)
target_compile_options(gradflow_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow
  # Clang does not know GCC's pragmas for loops.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-unknown-pragmas>
  # GCC 12 warns of its own headers once they are inlined into ours: AVX-512 intrinsics (GCC bug 105593), std::string (105651).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-maybe-uninitialized -Wno-uninitialized -Wno-restrict>)

# GCC takes half of AVX-512's registers for the loops it vectorises by itself, though the other half is ours to use as well.
include(CheckCXXCompilerFlag)
check_cxx_compiler_flag(-mprefer-vector-width=512 GRADFLOW_KNOWS_VECTOR_WIDTH)

function(gradflow_instruction_set target)
  if(GRADFLOW_KNOWS_VECTOR_WIDTH)
    target_compile_options(${target} PRIVATE -mprefer-vector-width=512)
  endif()
  if(NOT GRADFLOW_ARCH STREQUAL "generic")
    target_compile_options(${target} PUBLIC -march=${GRADFLOW_ARCH})
  endif()
endfunction()
