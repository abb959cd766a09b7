# `cmake --install`: libraries, headers, the command, and a package, so that find_package(gradflow) gives gradflow::gradflow and
# gradflow::solvers. Headers go one folder deeper than usual: `solvers` is too plain a name for /usr/local/include itself.
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/gradflow)

install(TARGETS gradflow gradflow_solvers EXPORT gradflow
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/gradflow)
install(TARGETS gradflow_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# The Python module that reads and draws runs, and the experiments that it finds by name. `gradflow plot` looks for the module
# beside itself, where this puts it, and then in the source tree.
set(python ${CMAKE_INSTALL_DATADIR}/gradflow/python)
install(DIRECTORY notebooks/gradflow DESTINATION ${python} FILES_MATCHING PATTERN *.py PATTERN __pycache__ EXCLUDE)
install(DIRECTORY data/ DESTINATION ${CMAKE_INSTALL_DATADIR}/gradflow/experiments FILES_MATCHING PATTERN *.toml)
set_source_files_properties(${PROJECT_SOURCE_DIR}/src/cli/plot.cpp TARGET_DIRECTORY gradflow_command PROPERTIES
  COMPILE_DEFINITIONS "GRADFLOW_PYTHON_INSTALL_DIR=\"${python}\";GRADFLOW_PYTHON_SOURCE_DIR=\"${PROJECT_SOURCE_DIR}/notebooks\"")

install(EXPORT gradflow NAMESPACE gradflow:: DESTINATION ${package} FILE gradflow-targets.cmake)

configure_package_config_file(cmake/gradflow-config.cmake.in gradflow-config.cmake INSTALL_DESTINATION ${package})
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(gradflow-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/gradflow-config.cmake ${PROJECT_BINARY_DIR}/gradflow-config-version.cmake
              cmake/dependencies.cmake
        DESTINATION ${package})
