#!/usr/bin/env bash
# simulation.sh [SEEDS] [FIRST]: the simulation, optimised and without sanitizers, on all cores: 100,000 seeds from 1 on unless told. In memory, because it loses
# what is not committed, not what is not synced. Prints what each core has done; ends with 1 when a seed finds something.
set -euo pipefail
cd "$(dirname "$0")/.."
source runtime/install_packages.sh
install_packages "${caesura_packages[@]}" libboost-test-dev libboost-dev
seeds=${1:-100000}
first=${2:-1}
cmake --preset proof >/dev/null
cmake --build --preset proof | tail -n 1
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
cores=$(nproc)
share=$(((seeds + cores - 1) / cores))
pids=()
for ((core = 0; core < cores; ++core)); do
  count=$((seeds - core * share < share ? seeds - core * share : share))
  [ "$count" -gt 0 ] || continue
  CAESURA_SIMULATION_FIRST=$((first + core * share)) CAESURA_SIMULATION_SEEDS=$count .build/proof/tests/simulation_tests --log_level=message --color_output=false &
  pids+=($!)
done
found=0
for pid in "${pids[@]}"; do wait "$pid" || found=1; done
exit "$found"
