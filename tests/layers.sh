#!/usr/bin/env bash
# Fails when a file includes what its layer may not know: storage <- actors <- runtime, and each library behind its own few files.
#   tests/layers.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
faults=0

# forbid RULE PATTERN FOLDER… [-- EXCEPTION…]: no source in the folders includes a header that matches; exceptions are path patterns.
forbid() {
  local rule=$1 pattern=$2
  shift 2
  local folders=() exceptions=()
  while [ $# -gt 0 ] && [ "$1" != -- ]; do folders+=("$1"); shift; done
  if [ $# -gt 0 ]; then shift; exceptions=("$@"); fi
  local line exception
  while IFS= read -r line; do
    for exception in "${exceptions[@]}"; do
      # shellcheck disable=SC2053  # a pattern
      if [[ ${line%%:*} == $exception ]]; then continue 2; fi
    done
    echo "$line: $rule"
    faults=$((faults + 1))
  done < <(grep -rnE --include='*.hpp' --include='*.cpp' "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($pattern)" "${folders[@]}" || true)
}

for folder in storage actors runtime; do
  [ -d "$folder/include/caesura" ] || { echo "there is no $folder/include/caesura: run it on the repository"; exit 2; }
done
# The public headers of a layer, as they are written in an include: caesura/(task|context|…).
headers_of() {
  local names
  names=$(cd "$1/include/caesura" && find . -name '*.hpp' | sed 's|^\./||; s|\.hpp$||' | paste -sd '|')
  echo "caesura/($names)\\.hpp"
}
actors_headers=$(headers_of actors)
runtime_headers=$(headers_of runtime)

forbid "storage knows neither actors nor runtime" "actors/|runtime/|$actors_headers|$runtime_headers" storage
forbid "storage knows no CAF" 'caf/' storage
forbid "actors does not know runtime" "runtime/|$runtime_headers" actors
forbid "LMDB is used in storage/lmdb only" 'lmdb\.h' storage actors runtime -- 'storage/lmdb.*'
forbid "msgpack is used in storage/codec only" 'msgpack' storage actors runtime -- 'storage/codec*'
forbid "pure code knows no CAF" 'caf/' actors/transitions actors/expression actors/listener_index.*
forbid "a public header includes no CAF, msgpack, LMDB, absl or re2" 'caf/|msgpack|lmdb|absl/|re2/' storage/include actors/include \
  runtime/include -- runtime/include/caesura/protocol.hpp runtime/include/caesura/actor_access.hpp
forbid "a public header includes public headers only" '(storage|actors|runtime|tests)/' storage/include actors/include runtime/include
forbid "the library knows neither tests nor benchmarks" '(tests|benchmarks|boost/test|benchmark)/' storage actors runtime

if [ $faults -gt 0 ]; then
  echo "$faults includes break the layers"
  exit 1
fi
echo "the layers hold"
