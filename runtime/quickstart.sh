#!/usr/bin/env bash
# From a fresh Debian 12 to a reminder that sleeps, survives a kill -9 and is cancelled: installs what is missing, builds the library and
# one example, tells the story. Arguments go to the example instead of --demo.
set -euo pipefail
cd "$(dirname "$0")/.."
source runtime/install_packages.sh
install_packages "${caesura_packages[@]}"
echo "Building (a few minutes the first time) …"
log=$(mktemp)
if ! { cmake --preset release -DCAESURA_BENCHMARKS=OFF -DCAESURA_SERVER=OFF && cmake --build --preset release --target schedule_reminder; } >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  echo "The build failed; its whole log is in $log" >&2
  exit 1
fi
rm -f "$log"
if [ $# -eq 0 ]; then set -- --demo; fi
exec .build/release/runtime/examples/schedule_reminder "$@"
