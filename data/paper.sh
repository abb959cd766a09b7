#!/usr/bin/env bash
# bash data/paper.sh
# The paper's experiment from a fresh Debian 12 to its end: installs what is missing, builds, integrates the flow of
# data/paper.toml into build/paper.h5, and prints the phases that it went through.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash cmake/install-packages.sh build
export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
cmake --preset release -D GRADFLOW_TESTS=OFF
cmake --build --preset release --parallel "$(nproc)"

build/bin/gradflow simulate data/paper.toml -o build/paper.h5 --force
build/bin/gradflow phases build/paper.h5
