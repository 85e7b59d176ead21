#!/usr/bin/env bash
# Asks every benchmark its question and prints one markdown table, with the machine and the commit above it.
#   benchmarks/run.sh                      all, the cheap ones three times (the table shows the median)
#   benchmarks/run.sh cancel_latency …     these only
# CAESURA_BENCH_DIR: where the stores are made, on the disk that is to be measured; default: the build directory.
# CAESURA_BENCH_REPEATS: default 3.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
build=$root/.build/release

source runtime/install_packages.sh

if [ $# -gt 0 ]; then
  names=$*
else
  names="two_step_runs cancel_latency bulk_cancel event_matching sleeping_runs server_events server_runs"
fi
for name in $names; do
  [ -f "benchmarks/$name.cpp" ] || { echo "no benchmark benchmarks/$name.cpp" >&2; exit 2; }
done

install_packages "${caesura_packages[@]}"
server=OFF
case " $names" in
  *" server_"*)
    server=ON
    install_packages "${server_packages[@]}"
    ;;
esac
cmake --preset release -DCAESURA_SERVER=$server -DCAESURA_BENCHMARKS=ON >/dev/null
# shellcheck disable=SC2086  # the names are words
cmake --build --preset release --target $names >&2

CAESURA_COMMIT=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
if [ -n "$(git status --porcelain 2>/dev/null)" ]; then CAESURA_COMMIT="$CAESURA_COMMIT with local changes"; fi
CAESURA_BENCH_DIR=${CAESURA_BENCH_DIR:-$build}
export CAESURA_COMMIT CAESURA_BENCH_DIR

rows=$(mktemp)
trap 'rm -f "$rows" "$rows.one"' EXIT
is_first=yes
for name in $names; do
  echo "$name …" >&2
  find "$build" -type f -name "$name" -perm -u+x | head -n 1 >"$rows.one"
  program=$(cat "$rows.one")
  "$program" "${CAESURA_BENCH_REPEATS:-3}" >"$rows.one"
  if [ $is_first = yes ]; then sed -n '1s/^# //p' "$rows.one"; fi
  is_first=no
  sed -n '2s/^# /- /p' "$rows.one"
  sed -n '5,$p' "$rows.one" >>"$rows"
done
printf '\n| question | figure | compared with |\n|---|---|---|\n'
cat "$rows"
