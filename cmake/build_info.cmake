# Writes build_info.hpp: what a run's file and `gradflow --version` say about the program that made it. Included by the build to
# define the target, and run by that target (-P) before every build: the commit is read then, and the header touched only when
# something in it has changed, so that a new commit recompiles the few sources that include it.
if(NOT CMAKE_SCRIPT_MODE_FILE)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" config)
  set(architecture "${CMAKE_SYSTEM_PROCESSOR} ${GRADFLOW_ARCH}")
  if(GRADFLOW_ARCH STREQUAL "native")  # name the processor that `native` stands for on this machine
    execute_process(COMMAND ${CMAKE_CXX_COMPILER} -march=native -Q --help=target
                    OUTPUT_VARIABLE target_help ERROR_QUIET)
    if(target_help MATCHES "-march=[ \t]+([^ \t\n]+)")
      string(APPEND architecture " (${CMAKE_MATCH_1})")
    endif()
  endif()
  string(STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${config}}" flags)
  add_custom_target(gradflow_build_info
    COMMAND ${CMAKE_COMMAND} -D source=${PROJECT_SOURCE_DIR} -D output=${PROJECT_BINARY_DIR}/generated/build_info.hpp
            -D version=${PROJECT_VERSION} "-D compiler=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
            "-D flags=${flags}" "-D build_type=${CMAKE_BUILD_TYPE}" "-D architecture=${architecture}"
            -P ${CMAKE_CURRENT_LIST_FILE}
    BYPRODUCTS ${PROJECT_BINARY_DIR}/generated/build_info.hpp
    COMMENT "Reading the commit for build_info.hpp" VERBATIM)
  add_library(gradflow_build_info_header INTERFACE)
  target_include_directories(gradflow_build_info_header INTERFACE ${PROJECT_BINARY_DIR}/generated)
  add_dependencies(gradflow_build_info_header gradflow_build_info)
  return()
endif()

set(commit unknown)  # a tarball, or no git
find_program(GIT git)
if(GIT AND EXISTS ${source}/.git)
  # --exclude=*: the hash, never a tag's name; "-dirty" when files under version control differ from it.
  execute_process(COMMAND ${GIT} describe --always --dirty --abbrev=40 --exclude=* WORKING_DIRECTORY ${source}
                  OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed)
    set(commit ${described})
  endif()
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/build_info.hpp.in ${output} @ONLY)
