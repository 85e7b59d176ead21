#!/usr/bin/env bash
# Builds and runs the outside project beside this file in every way a user can: with add_subdirectory, and against the installed library
# with g++, clang++-14 (when there is one) and pkg-config.
#   tests/embedding/build.sh SCRATCH    SCRATCH: a directory that it makes and keeps, so that the next time is quick
# The library is built once, by add_subdirectory and without sanitizers, which would show in every program that links it, and installed
# from there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
scratch=${1:?usage: tests/embedding/build.sh SCRATCH}
prefix=$scratch/prefix
unset CXXFLAGS LDFLAGS CMAKE_PREFIX_PATH PKG_CONFIG_PATH

launcher=()
if command -v ccache >/dev/null; then launcher=(-D "CMAKE_CXX_COMPILER_LAUNCHER=env;CCACHE_SLOPPINESS=pch_defines,time_macros;ccache"); fi

# build_and_run WAY COMPILER OPTION…
build_and_run() {
  local way=$1 compiler=$2
  shift 2
  echo "== $way"
  cmake -S "$here" -B "$scratch/$way" -G Ninja -D CMAKE_CXX_COMPILER="$compiler" "$@" >"$scratch/$way.log" || { cat "$scratch/$way.log"; exit 1; }
  cmake --build "$scratch/$way"
  (cd "$scratch" && "$scratch/$way/app")
}

mkdir -p "$scratch"
build_and_run subdirectory g++ -D CMAKE_CXX_FLAGS=-O1 -D CAESURA_SOURCE="$source" "${launcher[@]}"

rm -rf "$prefix"
cmake --install "$scratch/subdirectory" --prefix "$prefix" >"$scratch/install.log"
# Found fresh each time, and moved first: nothing in the package may know where it was built or installed.
rm -rf "$prefix.moved" "$scratch"/installed_*
mv "$prefix" "$prefix.moved"
prefix=$prefix.moved
build_and_run installed_gcc g++ -D CMAKE_PREFIX_PATH="$prefix"
if command -v clang++-14 >/dev/null; then
  build_and_run installed_clang clang++-14 -D CMAKE_PREFIX_PATH="$prefix"
else
  echo "== installed_clang: left out, there is no clang++-14"
fi

if command -v pkg-config >/dev/null; then
  echo "== pkg-config"
  PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name caesura.pc)")
  export PKG_CONFIG_PATH
  # shellcheck disable=SC2046  # its answer is words
  g++ -std=c++20 -Wall -Wextra -Werror "$here/main.cpp" -o "$scratch/with_pkg_config" $(pkg-config --cflags --libs caesura)
  (cd "$scratch" && "$scratch/with_pkg_config")
else
  echo "== pkg-config: left out, there is none"
fi
