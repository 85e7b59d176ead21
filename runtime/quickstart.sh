#!/usr/bin/env bash
# From a fresh Debian 12 to a reminder that sleeps, survives a kill -9 and is cancelled: installs what is missing, builds the library and
# one example, tells the story. Arguments go to the example instead of --demo.
#   --server   another story: the server, an app with Inngest's SDK, and curl
set -euo pipefail
cd "$(dirname "$0")/.."
source runtime/install_packages.sh
build_quietly() { # build_quietly TARGET [CMAKE ARGUMENTS]
  local target=$1 log
  shift
  echo "Building (a few minutes the first time) …"
  log=$(mktemp)
  if ! { cmake --preset release -DCAESURA_BENCHMARKS=OFF "$@" && cmake --build --preset release --target "$target"; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "The build failed; its whole log is in $log" >&2
    exit 1
  fi
  rm -f "$log"
}
if [ "${1:-}" = --server ]; then
  [ $# -eq 1 ] || { echo "quickstart.sh --server takes no other argument" >&2; exit 2; }
  source runtime/quickstart_server.sh
  exit 0
fi
install_packages "${caesura_packages[@]}"
build_quietly schedule_reminder -DCAESURA_SERVER=OFF
if [ $# -eq 0 ]; then set -- --demo; fi
exec .build/release/runtime/examples/schedule_reminder "$@"
