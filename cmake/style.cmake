# Targets `format` and `tidy`, where the tools are installed; formatting is a test too, but only by the version that .clang-format
# is written for: another one breaks lines differently.
set(rooms include solvers src tests bench)
list(TRANSFORM rooms REPLACE "(.+)" "${PROJECT_SOURCE_DIR}/\\1/*.[chi]pp" OUTPUT_VARIABLE patterns)
file(GLOB_RECURSE ours CONFIGURE_DEPENDS ${patterns})

find_program(CLANG_FORMAT NAMES clang-format-14 clang-format)
if(CLANG_FORMAT)
  add_custom_target(format COMMAND ${CLANG_FORMAT} -i ${ours} VERBATIM)
  execute_process(COMMAND ${CLANG_FORMAT} --version OUTPUT_VARIABLE clang_format_version)
  if(GRADFLOW_TESTS AND clang_format_version MATCHES "version 14\\.")
    add_test(NAME house.format COMMAND ${CLANG_FORMAT} --dry-run --Werror ${ours})
  endif()
endif()

find_program(RUN_CLANG_TIDY NAMES run-clang-tidy-14 run-clang-tidy)
if(RUN_CLANG_TIDY)
  add_custom_target(tidy COMMAND ${RUN_CLANG_TIDY} -quiet -p ${PROJECT_BINARY_DIR} "^${PROJECT_SOURCE_DIR}/(solvers|src)/.*[.]cpp$"
                    VERBATIM)
endif()
