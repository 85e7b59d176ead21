#!/usr/bin/env bash
# Sourced by the project's scripts: install_packages NAME... installs the Debian packages that are missing, with apt, as root or
# through sudo. Does nothing when none is.
install_packages() {
  local missing=() name as_root=()
  for name in "$@"; do
    dpkg -s "$name" 2>/dev/null | grep -q '^Status: install ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if ! command -v apt-get >/dev/null; then
    echo "these Debian packages are missing, and there is no apt-get to install them: ${missing[*]}" >&2
    return 1
  fi
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  echo "Installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 && return 0
  "${as_root[@]}" apt-get update -qq && "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What the library is built with.
caesura_packages=(g++ cmake ninja-build ccache libcaf-dev libmsgpack-cxx-dev liblmdb-dev nlohmann-json3-dev libabsl-dev libre2-dev)
# What its server is built with besides (CAESURA_SERVER).
server_packages=(libboost-dev libssl-dev libsimdjson-dev libcli11-dev libjemalloc-dev)
