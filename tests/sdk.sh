#!/usr/bin/env bash
# The real SDKs of npm, v4 and v3, against the real server: installs Node where it is missing, builds the command `caesura`, and ends with node's summary.
set -euo pipefail
cd "$(dirname "$0")/.."
source runtime/install_packages.sh
install_packages "${caesura_packages[@]}" "${server_packages[@]}" libboost-test-dev
command -v node >/dev/null && command -v npm >/dev/null || install_packages nodejs npm
cmake --preset dev >/dev/null
cmake --build --preset dev --target caesura_command | tail -n 1
mkdir -p .build/sdk
cp tests/sdk/* .build/sdk/
cd .build/sdk
npm install --no-audit --no-fund --loglevel=error
node=node
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then  # v4 wants 20, Debian 12 has 18
  npm install --no-save --no-audit --no-fund --loglevel=error node@20
  node=node_modules/node/bin/node
fi
CAESURA=$PWD/../dev/runtime/cli/caesura exec "$node" --test sdk_tests.mjs
