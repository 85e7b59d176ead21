#!/usr/bin/env bash
# simulation.sh [SEEDS] [FIRST]: the simulation, optimised and without sanitizers, on all cores: 100,000 seeds from 1 on unless told. In memory, because it loses
# what is not committed, not what is not synced. Prints a line for every 500 seeds and the sum; ends with 1 when a seed finds something.
set -euo pipefail
cd "$(dirname "$0")/.."
source runtime/install_packages.sh
install_packages "${caesura_packages[@]}" libboost-test-dev libboost-dev
seeds=${1:-100000}
first=${2:-1}
last=$((first + seeds - 1))
cmake --preset proof >/dev/null
cmake --build --preset proof | tail -n 1
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
play() { # play FIRST LAST: the seeds from FIRST on, at most 500 and none past LAST
  local count=$(($2 - $1 + 1 < 500 ? $2 - $1 + 1 : 500)) told found=0
  told=$(CAESURA_SIMULATION_FIRST=$1 CAESURA_SIMULATION_SEEDS=$count .build/proof/tests/simulation_tests --run_test=simulation/every_seed_keeps_every_promise \
    --log_level=message --color_output=false 2>&1) || found=1
  [ "$found" -eq 0 ] || printf '%s\n' "$told"
  printf 'from %d: %s\n' "$1" "$(grep -oE '[0-9]+ seeds: .*' <<<"$told" || echo "did not end")"
  return "$found"
}
export -f play
found=0
told=$(mktemp)
seq "$first" 500 "$last" | xargs -P "$(nproc)" -I{} bash -c "play {} $last" | tee "$told" || found=1
# The sum of what each line counts, under the words of the first.
sed -n 's/^from [0-9]*: \([0-9]* seeds: .*\)/\1/p' "$told" | awk -F'[:,] ' '
  { for (i = 1; i <= NF; ++i) { split($i, part, " "); sum[i] += part[1]; word[i] = substr($i, length(part[1]) + 1) } fields = NF }
  END { for (i = 1; i <= fields; ++i) printf "%s%d%s", i == 1 ? "together: " : i == 2 ? ": " : ", ", sum[i], word[i]; print "" }'
rm -f "$told"
exit "$found"
