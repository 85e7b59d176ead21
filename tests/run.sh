#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: under ASan and UBSan, then what has threads under TSan.
#   --fast        without the TSan build
#   --tsan-all    under TSan also the suites of one thread: runtime, actors, storage
#   --filter X    only the Boost.Test cases or suites that X names, such as cancellation or cancellation/the_first_reason_stays
#   --seed N      for the tests that draw numbers: with --filter simulation this one seed, and its history in short if it fails
set -euo pipefail
cd "$(dirname "$0")/.."
source runtime/install_packages.sh
with_tsan=true
tsan_all=
filter=
while [ $# -gt 0 ]; do
  case "$1" in
    --fast) with_tsan=false ;;
    --tsan-all) tsan_all=true ;;
    --filter) filter=$2; shift ;;
    --seed) export CAESURA_TEST_SEED=$2; shift ;;
    *) echo "unknown argument $1: --fast, --tsan-all, --filter X, --seed N" >&2; exit 2 ;;
  esac
  shift
done
install_packages "${caesura_packages[@]}" "${server_packages[@]}" libboost-test-dev clang-14 pkg-config git

# Not across clones (CCACHE_BASEDIR): a header precompiled in one is no `#pragma once` for the files of another.
export CCACHE_SLOPPINESS=pch_defines,time_macros

passed=0
failed=0
# Counts what one Boost.Test program says of itself: "N test cases out of M passed".
run_suite() { # run_suite NAME PROGRAM [ARGUMENTS]
  local name=$1 log status=0
  shift
  [ -x "$1" ] || return 0
  log=$(mktemp)
  echo "== $name"
  "$@" --color_output=false --report_level=detailed ${filter:+--run_test="$filter"} >"$log" 2>&1 || status=$?
  local ok bad
  ok=$(grep -cE 'Test case .* has passed' "$log" || true)
  bad=$(grep -cE 'Test case .* has (failed|aborted)' "$log" || true)
  if [ "$status" -ne 0 ] && ! { [ -n "$filter" ] && grep -q 'no test cases matching filter' "$log"; }; then
    grep -vE '^ *Test (case|suite|module) .* has passed|assertions? out of|test cases? out of' "$log" | tail -n 200
    [ "$bad" -gt 0 ] || bad=1
  fi
  echo "   $ok passed, $bad failed"
  passed=$((passed + ok))
  failed=$((failed + bad))
  rm -f "$log"
}
run_check() { # run_check NAME COMMAND...
  local name=$1 log
  shift
  log=$(mktemp)
  echo "== $name"
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    tail -n 60 "$log"
    echo "   failed: $name"
  fi
  rm -f "$log"
}
build() { # build PRESET [TARGET...]: those that the preset names unless told
  local began=$SECONDS preset=$1
  shift
  echo "== build $preset"
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" ${1:+--target "$@"} | tail -n 2
  echo "   $((SECONDS - began)) s"
}

# Four frames say where memory came from; thirty take a third of the time. What looks for the use of a dead frame's variables takes almost half of a
# simulation's: it looks at every other suite, which have the same transitions and bodies.
export ASAN_OPTIONS=malloc_context_size=4 UBSAN_OPTIONS=print_stacktrace=1
options_of() { # options_of SUITE
  case "$1" in
    simulation | planted) echo "$ASAN_OPTIONS" ;;
    *) echo "$ASAN_OPTIONS:detect_stack_use_after_return=1" ;;
  esac
}
# In memory, because hardly a test asks what a disk keeps: those that do lose it themselves.
[ ! -w /dev/shm ] || [ "$(df --output=avail -k /dev/shm | tail -n 1)" -lt 4000000 ] || export TMPDIR=/dev/shm
# Two lanes, one a core, each with the suites named in one argument; a lane is told as a whole when it has ended.
run_lanes() { # run_lanes FOLDER SUFFIX LANE LANE
  local folder=$1 suffix=$2 lane suite more_passed more_failed began=$SECONDS
  local -A told=() counts=() pids=()
  for lane in "$3" "$4"; do
    told[$lane]=$(mktemp)
    counts[$lane]=$(mktemp)
    (
      passed=0
      failed=0
      for suite in $lane; do ASAN_OPTIONS=$(options_of "$suite") run_suite "${suite##*/}$suffix" "$folder/${suite}_tests"; done
      echo "   $((SECONDS - began)) s: $lane"
      echo "$passed $failed" >"${counts[$lane]}"
    ) >"${told[$lane]}" 2>&1 &
    pids[$lane]=$!
  done
  for lane in "$3" "$4"; do
    wait "${pids[$lane]}" || echo "0 1" >"${counts[$lane]}"
    cat "${told[$lane]}"
    read -r more_passed more_failed <"${counts[$lane]}"
    passed=$((passed + more_passed))
    failed=$((failed + more_failed))
    rm -f "${told[$lane]}" "${counts[$lane]}"
  done
}

build dev
dev=.build/dev
run_lanes $dev/tests "" "runtime storage actors threads http server cli fuzz/fuzz" "simulation planted faults/faults crash"
if [ -z "$filter" ]; then
  run_check "layers hold" tests/layers.sh
  run_check "wrong uses do not compile" tests/wrong_use.sh
  run_check "listings are parts of the examples" tests/listings.sh
  for example in cleanup_after_cancel embed_in_caf first_answer night_shift replay_from_a_step; do run_check "example $example" $dev/runtime/examples/$example; done
  run_check "example greeting" $dev/runtime/examples/greeting $dev/tests/greetings
  run_check "example schedule_reminder --demo" $dev/runtime/examples/schedule_reminder --demo
  run_check "embedding" tests/embedding/build.sh
fi

if $with_tsan; then
  build tsan
  export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp history_size=4 second_deadlock_stack=1"
  run_lanes .build/tsan/tests " under TSan" "server" "threads http"
  if [ -n "$tsan_all" ]; then
    build tsan runtime_tests actors_tests storage_tests
    run_lanes .build/tsan/tests " under TSan" "runtime" "actors storage"
  fi
  [ -n "$filter" ] || run_check "a planted race is reported" tests/threads/planted_race.sh .build/tsan/tests/planted_race
fi

echo "== $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
