#!/usr/bin/env bash
# bash cmake/install-packages.sh build [tests] [coverage] [fuzz] [bench] [torch]
# Installs what gradflow is built from (and its tests need) on Debian 12 or a relative of it. Says first what and why; does
# nothing where everything is there already.
set -euo pipefail

declare -A packages=(
  [build]="g++ cmake ninja-build pkg-config libboost-dev libeigen3-dev libhdf5-dev libtomlplusplus-dev libcli11-dev libfmt-dev
           nlohmann-json3-dev libicu-dev zlib1g-dev"
  [tests]="libgtest-dev libgmock-dev librapidcheck-dev python3 python3-h5py python3-h5netcdf python3-ipykernel
           python3-matplotlib python3-nbclient python3-pandas python3-pytest python3-scipy python3-xarray"
  [coverage]="gcovr"
  [fuzz]="clang-14 libclang-rt-14-dev"
  [bench]="libbenchmark-dev libopenblas0-serial python3 python3-h5py python3-matplotlib python3-numpy python3-scipy"
  [torch]="python3-torch"
)
declare -A purpose=(
  [build]="to compile gradflow (compiler, CMake, libraries)"
  [tests]="to test it (GoogleTest, RapidCheck; Python, to read files, compute the same independently, run the notebooks)"
  [coverage]="to report which lines the tests reach"
  [fuzz]="to give the readers any bytes at all (Clang with libFuzzer)"
  [bench]="to measure speed (Google Benchmark; SciPy on a fast BLAS to compare with; Matplotlib for the pictures)"
  [torch]="to compare with PyTorch"
)

if ! command -v dpkg-query apt-get >/dev/null; then
  echo "This is not Debian or a relative of it, so nothing is installed here. Needed are, by their Debian names:" >&2
  for group in "$@"; do echo "  ${purpose[$group]}:" ${packages[$group]} >&2; done
  echo "Going on; CMake names whatever is missing." >&2
  exit 0
fi

missing=()
for group in "$@"; do
  lacking=()
  for package in ${packages[$group]}; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $status == installed* ]] || lacking+=("$package")
  done
  if ((${#lacking[@]})); then
    echo "To be installed ${purpose[$group]}: ${lacking[*]}"
    missing+=("${lacking[@]}")
  fi
done
((${#missing[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "That takes root, and there is no sudo here. Ask an administrator for" >&2
    echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 -o Dpkg::Use-Pty=0)
if ! { "${install[@]}" update && "${install[@]}" install --no-install-recommends "${missing[@]}"; }; then
  echo "apt-get could not install them on $(. /etc/os-release && echo "$PRETTY_NAME"); gradflow is built and tested on Debian 12." >&2
  exit 1
fi
