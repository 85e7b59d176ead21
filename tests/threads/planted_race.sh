#!/usr/bin/env bash
# planted_race.sh PROGRAM: succeeds when TSan finds the race that is in it.
log=$("$1" 2>&1)
if grep -q 'data race' <<<"$log"; then exit 0; fi
echo "TSan did not report the planted race"
exit 1
