# Every outside library that gradflow is linked to, in one place; the installed package finds them again with the same lines.
# REQUIRED also there, where find_dependency() is usual: in the build that macro would pass over a missing library in silence.
find_package(Boost 1.74 REQUIRED)
find_package(Eigen3 3.4 REQUIRED)
find_package(HDF5 REQUIRED COMPONENTS C HL)
find_package(ZLIB REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ICU REQUIRED COMPONENTS i18n uc)
# The shared library, not the headers alone: header-only toml++ 3.3 aborts on some malformed keys.
find_package(PkgConfig REQUIRED)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET GLOBAL tomlplusplus)
