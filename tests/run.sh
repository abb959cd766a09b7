#!/usr/bin/env bash
# bash tests/run.sh [release | debug | asan | tsan | coverage]
# Every test, from a fresh Debian 12: installs what is missing, builds as CMakePresets.json says (release: into build/), runs ctest.
# tsan: of the tests those that use threads. After those of release, where Clang 14 can be had, the readers of files and settings
# get a little fuzzing, under the address and undefined-behaviour sanitizers.
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
if [[ $preset == release ]]; then
  if bash cmake/install-packages.sh fuzz && command -v clang++-14 >/dev/null; then
    bash tests/fuzz/run.sh
  else
    echo "Clang 14 is not to be had here: no fuzzing."
  fi
fi
