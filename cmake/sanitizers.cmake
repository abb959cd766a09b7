# What the presets `asan` and `tsan` add: Clang 14's sanitizers, of which the first finding ends the program, and precompiled
# headers, which halve the time that such a build takes. Nothing where GRADFLOW_SANITIZERS is empty.
set(GRADFLOW_SANITIZERS "" CACHE STRING "Compile with these: address,undefined or thread")

# A target's sources see these first; without sanitizers each includes what it needs by itself, which the other builds check.
function(gradflow_precompile target)
  if(GRADFLOW_SANITIZERS)
    target_precompile_headers(${target} PRIVATE <algorithm> <array> <cmath> <filesystem> <functional> <limits> <map> <memory>
      <numeric> <optional> <set> <span> <sstream> <string> <vector> <Eigen/Core> <Eigen/Eigenvalues> <Eigen/QR> ${ARGN})
  endif()
endfunction()

# What calculates is in the libraries, and they alone are worth the time that optimising takes. They are linked first, so that of
# inline functions which both have theirs are taken.
function(gradflow_optimise_libraries_only target level)
  target_compile_options(${target} PRIVATE ${level})
  target_link_options(${target} PRIVATE
    LINKER:--whole-archive $<TARGET_FILE:gradflow> $<TARGET_FILE:gradflow_solvers> LINKER:--no-whole-archive)
endfunction()

if(NOT GRADFLOW_SANITIZERS)
  return()
endif()
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "GRADFLOW_SANITIZERS is for Clang (CMakePresets.json names clang++-14), not for ${CMAKE_CXX_COMPILER}")
endif()
add_compile_options(-fsanitize=${GRADFLOW_SANITIZERS} -fno-sanitize-recover=all -fno-omit-frame-pointer)
add_link_options(-fsanitize=${GRADFLOW_SANITIZERS})
if(GRADFLOW_SANITIZERS MATCHES "undefined")
  # Of a test file's 26.3 s of compiling, null, alignment, object-size and vptr cost 5.5 s, for what the address sanitizer or the
  # processor (alignment of vectors) mostly reports as soon as such a pointer is used.
  add_compile_options(-fno-sanitize=null,alignment,object-size,vptr,pointer-overflow)
endif()
