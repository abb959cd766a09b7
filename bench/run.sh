#!/usr/bin/env bash
# bash bench/run.sh [--quick | --smoke] [--torch]
# All benchmarks, from a fresh Debian 12: installs what is missing, builds into build-bench/, measures kernels and whole solves beside
# their peers, writes bench/results/*.json, the tables of bench/README.md and bench/work-precision.png. Long; --quick: S and M
# in some eight minutes, --smoke: seconds, that everything works; these two leave their results in build-bench/. --torch installs PyTorch first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mode=full
groups=(build bench)
for argument in "$@"; do
  case $argument in
    --quick | --smoke) mode=${argument#--} ;;
    --torch) groups+=(torch) ;;
    *) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
  esac
done

bash cmake/install-packages.sh "${groups[@]}"
build=${GRADFLOW_BENCH_BUILD:-build-bench}
export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
cmake -S . -B "$build" -D CMAKE_BUILD_TYPE=Release -D GRADFLOW_TESTS=OFF -D GRADFLOW_BENCH=ON
cmake --build "$build" --parallel "${JOBS:-$(nproc)}"

python=/usr/bin/python3
[[ -x $python ]] || python=python3
results=bench/results
kernels=(--sizes=S,M,L) solves=()
[[ $mode == full ]] || results=$build/results
[[ $mode != quick ]] || kernels=(--sizes=S,M --benchmark_min_time=0.05) solves=(--quick)
[[ $mode != smoke ]] || kernels=(--sizes=S --benchmark_min_time=0.01 '--benchmark_filter=/S$|d=16') solves=(--smoke)
mkdir -p "$results"
"$build/bin/bench-kernels" "${kernels[@]}" --benchmark_out="$results/kernels.json" --benchmark_out_format=json
"$python" bench/solves.py --build "$build" --out "$results/solves.json" "${solves[@]}"

readme=bench/README.md picture=bench/work-precision.png
if [[ $mode != full ]]; then
  readme=$results/README.md picture=$results/work-precision.png
  cp bench/README.md "$readme"
fi
"$python" bench/tables.py "$results/solves.json" "$results/kernels.json" "$readme"
"$python" bench/plot.py "$results/solves.json" "$picture"
echo "Tables: $readme. Picture: $picture. Figures: $results/"
