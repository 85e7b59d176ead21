#!/usr/bin/env bash
# fuzz.sh [SECONDS] [TARGET...]: fuzzes each target (expression, record, document, calls; requests, which builds the server, when it is named) with libFuzzer,
# from the corpus in tests/fuzz/corpus; 60 seconds each unless told.
# New inputs stay in .build/fuzz/corpus, findings in .build/fuzz/findings.
set -euo pipefail
cd "$(dirname "$0")/.."
source runtime/install_packages.sh
install_packages "${caesura_packages[@]}" libboost-test-dev libboost-dev clang-14 libclang-rt-14-dev
seconds=${1:-60}
shift || true
[ $# -gt 0 ] || set -- expression record document calls
server=OFF
case " $* " in
  *" requests "*)
    server=ON
    install_packages "${server_packages[@]}"
    ;;
esac
cmake --preset fuzz -DCAESURA_SERVER=$server >/dev/null
cmake --build --preset fuzz --target "${@/#/fuzz_}" | tail -n 1
export ASAN_OPTIONS=detect_leaks=0 TMPDIR
[ ! -w /dev/shm ] || TMPDIR=/dev/shm
found=0
for target in "$@"; do
  mkdir -p ".build/fuzz/corpus/$target" ".build/fuzz/findings/$target"
  log=.build/fuzz/$target.log
  .build/fuzz/tests/fuzz/fuzz_"$target" -max_total_time="$seconds" -max_len=4096 -timeout=60 -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix=".build/fuzz/findings/$target/" ".build/fuzz/corpus/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1 || found=1
  echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions, $(ls ".build/fuzz/findings/$target" | wc -l) findings"
done
[ "$found" -eq 0 ]
