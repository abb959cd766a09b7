#!/usr/bin/env bash
# bash tests/run.sh [release | debug | asan | coverage]
# Every test, from a fresh Debian 12: installs what is missing, builds as CMakePresets.json says (release: into build/), runs ctest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
preset=${1:-release}
groups=(build tests)
[[ $preset != coverage ]] || groups+=(coverage)

bash cmake/install-packages.sh "${groups[@]}"
export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
cmake --preset "$preset" -D GRADFLOW_TESTS=ON
cmake --build --preset "$preset" --parallel "$(nproc)"
ctest --preset "$preset"

if [[ $preset == coverage ]]; then
  gcovr --root . --filter include/ --filter solvers/ --filter src/ --exclude-throw-branches --print-summary build-coverage
fi
