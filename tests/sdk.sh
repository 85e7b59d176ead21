#!/usr/bin/env bash
# The real SDKs of npm, v4 and v3, against the real server: installs Node where it is missing, builds the command `caesura`, and ends with node's summary.
set -euo pipefail
cd "$(dirname "$0")/.."
source runtime/install_packages.sh
install_packages "${caesura_packages[@]}" "${server_packages[@]}" libboost-test-dev
source tests/sdk/install.sh
cmake --preset dev >/dev/null
cmake --build --preset dev --target caesura_command | tail -n 1
cd .build/sdk
CAESURA=$PWD/../dev/runtime/cli/caesura exec "$node" --test sdk_tests.mjs
