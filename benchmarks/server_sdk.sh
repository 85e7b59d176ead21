#!/usr/bin/env bash
# server_sdk.sh [MAJOR...]: two-step functions through the SDKs of npm, v4 and v3 unless told. Not part of run.sh, because it loads npm packages. Prints rows for its table.
set -euo pipefail
cd "$(dirname "$0")/.."
source runtime/install_packages.sh
install_packages "${caesura_packages[@]}" "${server_packages[@]}"
source tests/sdk/install.sh
cmake --preset release -DCAESURA_SERVER=ON >/dev/null
cmake --build --preset release --target caesura_command >&2
export CAESURA=$PWD/.build/release/runtime/cli/caesura CAESURA_BENCH_DIR=${CAESURA_BENCH_DIR:-$PWD/.build/release}
[ $# -gt 0 ] || set -- 4 3
for major in "$@"; do "$node" benchmarks/server_sdk.mjs "$PWD/.build/sdk/app.mjs" "$major"; done
