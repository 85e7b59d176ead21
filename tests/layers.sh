#!/usr/bin/env bash
# storage <- actors <- runtime: nothing includes what is above it, and what is expensive stays where it is confined.
set -u
cd "$(dirname "$0")/.."
status=0
refuse() { # refuse WHY PATTERN FILES...
  local why=$1 pattern=$2 hits
  shift 2
  hits=$(grep -nE "$pattern" "$@" 2>/dev/null)
  if [ -n "$hits" ]; then
    printf '%s\n%s\n' "$why" "$hits"
    status=1
  fi
}
shopt -s globstar nullglob
refuse "storage/ reaches above itself:" '#include *[<"](caf/|actors/|runtime/|caesura/(task|context|function|retry|protocol|runtime|options|observer))' storage/**/*.[ch]pp
refuse "actors/ reaches above itself:" '#include *[<"](runtime/|caesura/(runtime|options|observer|protocol|actor_access)\.hpp)' actors/**/*.[ch]pp
refuse "<lmdb.h> belongs to storage/lmdb.cpp:" '#include *<lmdb.h>' $(ls storage/**/*.[ch]pp actors/**/*.[ch]pp runtime/**/*.[ch]pp | grep -v '^storage/lmdb\.')
refuse "<msgpack.hpp> belongs to storage/codec.cpp:" '#include *<msgpack' $(ls storage/**/*.[ch]pp actors/**/*.[ch]pp runtime/**/*.[ch]pp | grep -v '^storage/codec')
refuse "the transitions know no actors:" '#include *<caf/' actors/transitions/*.[ch]pp actors/router.?pp actors/run_driver.?pp actors/frame.?pp
public=$(ls storage/include/**/*.hpp actors/include/**/*.hpp runtime/include/**/*.hpp | grep -vE '/(protocol|actor_access)\.hpp$')
refuse "a public header includes what makes users wait:" '#include *[<"](caf/|msgpack|lmdb|absl/|re2/)' $public
refuse "a public header includes what is not installed:" '#include *"' $public
refuse "runtime/server/http/ knows more than storage:" '#include *[<"](caf/|actors/|runtime/[^s]|caesura/(task|context|function|retry|protocol|runtime|options|observer))' runtime/server/http/*.[ch]pp
refuse "Boost, OpenSSL and simdjson in a header of runtime/server/http/:" '#include *<(boost/|openssl/|simdjson)' $(ls runtime/server/http/*.hpp | grep -vE "/(connection|client_link|loop_core|message_parser|write_at_once).hpp$")
refuse "a test sleeps:" 'this_thread::sleep|usleep\(|nanosleep' tests/**/*.[ch]pp
exit $status
