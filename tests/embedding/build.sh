#!/usr/bin/env bash
# Installs a build of the library and builds an outside project against it: by find_package with both compilers, by pkg-config, and by
# add_subdirectory. Everything happens in a temporary folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
plain=(-G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0)

cmake -S "$top" -B "$top/.build/embedding" "${plain[@]}" -DCAESURA_TESTS=OFF -DCAESURA_BENCHMARKS=OFF -DCAESURA_EXAMPLES=OFF -DCAESURA_SERVER=OFF -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=16
cmake --build "$top/.build/embedding"
cmake --install "$top/.build/embedding" --prefix "$work/prefix"

echo "find_package, g++"
cmake -S "$here" -B "$work/gcc" "${plain[@]}" -DCMAKE_PREFIX_PATH="$work/prefix"
cmake --build "$work/gcc"
"$work/gcc/outside"

if command -v clang++-14 >/dev/null; then
  echo "find_package, clang 14"
  cmake -S "$here" -B "$work/clang" "${plain[@]}" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER=clang++-14
  cmake --build "$work/clang"
  "$work/clang/outside"
fi

echo "pkg-config"
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name caesura.pc)")
# shellcheck disable=SC2046
g++ -std=c++20 -Wall -Wextra -Werror "$here/main.cpp" -o "$work/by_pkg_config" $(pkg-config --define-variable=prefix="$work/prefix" --cflags --libs caesura)
"$work/by_pkg_config"

echo "add_subdirectory"
cmake -S "$here" -B "$work/sub" "${plain[@]}" -DCAESURA_SOURCE="$top"
cmake --build "$work/sub" --target help >/dev/null
