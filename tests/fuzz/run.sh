#!/usr/bin/env bash
# bash tests/fuzz/run.sh [SECONDS] [TARGET...]
# Fuzzes each target (settings, json_lines, text, arrays, runs) for SECONDS with libFuzzer and the address and
# undefined-behaviour sanitizers; ends at the first that fails. Without SECONDS, as the tests do it, for 10 each, and those that
# read HDF5 files with inputs that are the same every time: some day chance would find what is HDF5's own. Needs Clang 14:
#   apt-get install --no-install-recommends clang-14 libclang-rt-14-dev
# Builds what it needs of the preset `asan`, in build-asan/ (GRADFLOW_FUZZ_BUILT names a build that is ready), where also what
# was found is kept: corpora grow from run to run in build-asan/fuzz/TARGET/found, inputs that fail are
# build-asan/fuzz/TARGET/crash-* and so on. Mend what fails, and put the input into tests/fuzz/corpus/, which the tests replay
# with any compiler.
set -euo pipefail
fuzz=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$fuzz/../.."
seconds=${1:-}
shift || true
targets=("$@")
((${#targets[@]})) || targets=(settings json_lines text arrays runs)

build=${GRADFLOW_FUZZ_BUILT:-$PWD/build-asan}
if [[ -z ${GRADFLOW_FUZZ_BUILT:-} ]]; then
  export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
  cmake --preset asan -D GRADFLOW_TESTS=ON
  cmake --build --preset asan --parallel "$(nproc)" --target "${targets[@]/#/fuzz_}"
fi

# What HDF5 keeps to the end of the process is no leak of ours, and it asks for memory that is not there without harm.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:allocator_may_return_null=1}
for target in "${targets[@]}"; do
  echo "== $target"
  # Files of HDF5 are replayed, not changed byte by byte: that only finds what the HDF5 library itself makes of damaged metadata.
  seeds=$fuzz/corpus/$target
  [[ ! -d ${seeds}_edits ]] || seeds=${seeds}_edits
  kept=$build/fuzz/$target
  found=$kept/found options=(-max_total_time="${seconds:-10}")
  if [[ $seeds == *_edits && -z $seconds ]]; then
    found=$kept/same options=(-seed=1 -runs=1000)
    rm -rf "$found"
  fi
  [[ ! -f $fuzz/$target.dict ]] || options+=(-dict="$fuzz/$target.dict")
  mkdir -p "$found"
  "$build/bin/fuzz_$target" -runs=0 -max_len=1000000 "$fuzz/corpus/$target" 2>&1 | tail -1
  "$build/bin/fuzz_$target" -timeout=60 -rss_limit_mb=2500 -malloc_limit_mb=1000 -print_final_stats=1 \
    -artifact_prefix="$kept/" "${options[@]}" "$found" "$seeds" 2>&1 |
    grep -E "^stat::number_of_executed_units|cov:.* DONE|DONE|ERROR|SUMMARY|broken promise|Test unit written"
done
