#!/usr/bin/env bash
# Builds the Debian package of the command and checks it: what is in it, what it depends on, the size of the program, the unit, and that the program
# starts, serves and ends at SIGTERM. Installs nothing of it. Ends with the package's path.
set -euo pipefail
cd "$(dirname "$0")/.."
source runtime/install_packages.sh
install_packages "${caesura_packages[@]}" "${server_packages[@]}" dpkg-dev file
build=.build/release
most_bytes=$((15 * 1024 * 1024))
fail() { echo "package: $*" >&2; exit 1; }

cmake --preset release -DCAESURA_SERVER=ON -DCAESURA_BENCHMARKS="${CAESURA_BENCHMARKS:-OFF}" >/dev/null
cmake --build --preset release --target caesura_package ${CAESURA_JOBS:+-j "$CAESURA_JOBS"} | tail -n 1
rm -rf .build/package
cpack -G DEB --config $build/CPackConfig.cmake -B .build/package >.build/package.log 2>&1 || { cat .build/package.log >&2; fail "cpack failed"; }
deb=$(ls .build/package/*.deb)

echo "== $deb"
dpkg-deb --field "$deb"
dpkg-deb --contents "$deb" | awk '{print $1, $2, $3, $6}'
root=.build/package/root
dpkg-deb --extract "$deb" $root
dpkg-deb --control "$deb" $root/DEBIAN

for file in usr/bin/caesura usr/bin/caesura-verify usr/lib/systemd/system/caesura.service etc/default/caesura usr/share/bash-completion/completions/caesura usr/share/doc/caesura/copyright; do
  [ -f $root/$file ] || fail "$file is missing"
done
[ "$(find $root -path $root/DEBIAN -prune -o -type f -print | wc -l)" -eq 6 ] || fail "it has files that do not belong into it"
[ -z "$(find $root -path $root/DEBIAN -prune -o -type d ! -perm 755 -print)" ] || fail "a directory has other permissions than 755"
grep -qx /etc/default/caesura $root/DEBIAN/conffiles || fail "/etc/default/caesura is no conffile"
depends=$(sed -n 's/^Depends: //p' $root/DEBIAN/control)
for library in libc6 libcaf-core liblmdb0 libre2 libssl libsimdjson libjemalloc2; do
  [[ $depends == *$library* ]] || fail "Depends does not name $library: $depends"
done
bytes=$(stat -c %s $root/usr/bin/caesura)
file $root/usr/bin/caesura | grep -q ', stripped' || fail "the program is not stripped"
[ "$bytes" -le $most_bytes ] || fail "the program has $bytes bytes, more than $most_bytes"
for script in postinst prerm postrm; do sh -n $root/DEBIAN/$script; done
bash -n $root/usr/share/bash-completion/completions/caesura

if command -v systemd-analyze >/dev/null; then
  # The program is not installed where the unit says.
  sed "s|/usr/bin/caesura|$PWD/$root/usr/bin/caesura|" $root/usr/lib/systemd/system/caesura.service >.build/package/caesura.service
  told=$(systemd-analyze verify .build/package/caesura.service 2>&1) || fail "systemd-analyze verify: $told"
  [ -z "$told" ] || fail "systemd-analyze verify: $told"
  systemd-analyze security --offline=true --threshold=20 .build/package/caesura.service | tail -n 1 || fail "the unit is exposed"
else
  echo "systemd-analyze is not here: the unit is not checked"
fi

directory=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$directory"' EXIT
$root/usr/bin/caesura serve --dir "$directory/store" --port 0 >"$directory/told" &
server=$!
for _ in $(seq 100); do grep -q 'http://' "$directory/told" && break; sleep 0.1; done
url=$(grep -o 'http://.*' "$directory/told") || fail "the packaged program does not serve"
$root/usr/bin/caesura --url "$url" functions list >/dev/null
kill -TERM $server
wait $server || fail "the packaged program ended with $? at SIGTERM"
server=
$root/usr/bin/caesura-verify "$directory/store" | tail -n 1 | grep -qx sound || fail "the store is not sound"
echo "program: $bytes bytes, stripped"
echo "$PWD/$deb"
