#!/bin/sh
# Fails when a listing of the README is not, line for line, part of the file that the comment above it names. Indentation does not count.
#   tests/listings.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/..}"
awk '
  function trimmed(line) { gsub(/^[ \t]+|[ \t]+$/, "", line); return line }
  function check(  text, line) {
    text = "\n"
    while ((getline line < file) > 0) text = text trimmed(line) "\n"
    close(file)
    ++checked
    if (index(text, listing) == 0) { print "README.md:" start ": the listing is not part of " file; ++faults }
    file = ""
  }
  /^<!-- listing: / { file = $3; next }
  /^```cpp$/ && file != "" { is_open = 1; start = NR; listing = "\n"; next }
  /^```cpp$/ { print "README.md:" NR ": no comment names the file of this listing"; ++faults }
  /^```$/ && is_open { is_open = 0; check(); next }
  is_open { listing = listing trimmed($0) "\n" }
  END {
    if (checked == 0) { print "README.md has no listings"; ++faults }
    if (faults == 0) print checked " listings are compiled as they stand"
    exit faults > 0
  }' README.md
