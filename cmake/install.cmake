# `cmake --install`: libraries, headers, the command, and a package, so that find_package(gradflow) gives gradflow::gradflow and
# gradflow::solvers. Headers go one folder deeper than usual: `solvers` is too plain a name for /usr/local/include itself.
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/gradflow)

install(TARGETS gradflow gradflow_solvers EXPORT gradflow
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/gradflow)
install(TARGETS gradflow_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(EXPORT gradflow NAMESPACE gradflow:: DESTINATION ${package} FILE gradflow-targets.cmake)

configure_package_config_file(cmake/gradflow-config.cmake.in gradflow-config.cmake INSTALL_DESTINATION ${package})
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(gradflow-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/gradflow-config.cmake ${PROJECT_BINARY_DIR}/gradflow-config-version.cmake
              cmake/dependencies.cmake
        DESTINATION ${package})
