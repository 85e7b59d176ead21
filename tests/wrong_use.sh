#!/usr/bin/env bash
# Compiles each wrong use of wrong_use/cases.cpp: it must fail, and say its sentence within the first lines.
#   tests/wrong_use.sh [CASE...]
set -u
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compile=(g++ -std=c++20 -fsyntax-only -I storage/include -I actors/include -I runtime/include)
most_lines=20
# The headers once, precompiled, for all.
echo '#include <caesura/caesura.hpp>' >"$work/headers.hpp"
"${compile[@]/-fsyntax-only/-xc++-header}" "$work/headers.hpp" -o "$work/headers.hpp.gch" || exit 1
compile+=(-include "$work/headers.hpp")
checked=0
faults=0
if ! "${compile[@]}" tests/wrong_use/cases.cpp 2>"$work/said"; then
  echo "what is right does not compile:"
  head -n 40 "$work/said"
  faults=1
fi
while IFS=$'\t' read -r name sentence; do
  [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
  checked=$((checked + 1))
  if "${compile[@]}" -DWRONG -D"$name" tests/wrong_use/cases.cpp 2>"$work/said"; then
    echo "$name compiles"
  elif ! head -n "$most_lines" "$work/said" | grep -qF -- "$sentence"; then
    echo "$name: the compiler does not say, within $most_lines lines: $sentence"
    head -n 20 "$work/said"
  else
    continue
  fi
  faults=$((faults + 1))
done < <(sed -n 's|^#ifdef \([A-Z_]*\)  // \(.*\)|\1\t\2|p' tests/wrong_use/cases.cpp)
[ "$checked" -gt 0 ] || { echo "no case was checked"; exit 1; }
[ "$faults" -gt 0 ] || echo "$checked wrong uses do not compile, and the compiler says why"
[ "$faults" -eq 0 ]
