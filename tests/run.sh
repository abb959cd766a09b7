#!/usr/bin/env bash
# bash tests/run.sh [release | debug | asan | tsan | coverage]
# Every test, from a fresh Debian 12: installs what is missing, builds as CMakePresets.json says (release: into build/), runs ctest.
# After those of release, where Clang 14 can be had, asan: all of them again under the address and undefined-behaviour sanitizers,
# and a little fuzzing of what reads files and settings; and tsan: those that use threads, under the thread sanitizer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
preset=${1:-release}
presets=("$preset") groups=(build tests)
case $preset in
  coverage) groups+=(coverage) ;;
  asan | tsan) groups+=(fuzz) ;;
esac

bash cmake/install-packages.sh "${groups[@]}"
if [[ $preset == release ]]; then
  if bash cmake/install-packages.sh fuzz && command -v clang++-14 >/dev/null; then
    presets+=(asan tsan)
  else
    echo "Clang 14 is not to be had here: no sanitizers, no fuzzing."
  fi
fi

export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
# Begun later than so many seconds, they would not end within half an hour of the start.
declare -A begun_by=([asan]=1020 [tsan]=1680)
for preset in "${presets[@]}"; do
  if ((${#presets[@]} > 1 && SECONDS > ${begun_by[$preset]:-SECONDS})); then
    echo "== $preset is left out: $((SECONDS / 60)) minutes have passed already on this machine. Alone: bash tests/run.sh $preset"
    continue
  fi
  echo "== $preset"
  cmake --preset "$preset" -D GRADFLOW_TESTS=ON
  cmake --build --preset "$preset" --parallel "$(nproc)"
  ctest --preset "$preset"
done

if [[ $preset == coverage ]]; then
  gcovr --root . --filter include/ --filter solvers/ --filter src/ --exclude-throw-branches --print-summary build-coverage
fi
