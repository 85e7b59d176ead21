# shellcheck shell=bash disable=SC2154  # the lists of packages come with install_packages.sh
# Sourced by quickstart.sh for --server: the server, an app in TypeScript's SDK, and a run that is cancelled. On a terminal both go on until Ctrl-C;
# otherwise everything is stopped at the end. Ends with 0 only if what it tells was true.

begun=$(date +%s%N)
say() { printf '%5.1f s  %s\n' "$(($(date +%s%N) - begun))e-9" "$*"; }
show() { sed 's/^/           /'; }
# Says a command, executes it and shows what it answers; $answer keeps that.
demonstrate() {
  local word line=
  for word in "$@"; do
    [[ $word == *[!A-Za-z0-9_./:?=@%-]* ]] && word="'$word'"
    line+=" $word"
  done
  printf '           $%s\n' "$line"
  answer=$("$@") || { echo "that failed: $answer" >&2; return 1; }
  printf '%s\n' "$answer" | tr -d '\r' | show
}
# member NAME: the first member of that name in $answer.
member() { grep -o "\"$1\": *\"[^\"]*\"" <<<"$answer" | head -n 1 | sed 's/.*: *"//; s/"$//'; }
# until_told SECONDS FILE PATTERN: waits until a program has printed it.
until_told() {
  local end=$((SECONDS + $1))
  until grep -q "$3" "$2" 2>/dev/null; do
    if [ $SECONDS -ge $end ]; then
      cat "$2" >&2
      return 1
    fi
    sleep 0.1
  done
}
# until_state RUN STATE: waits until a run is in that state.
until_state() {
  local end=$((SECONDS + 20))
  until curl -sS "$url/v1/runs/$1" | grep -q "\"state\":\"$2\""; do
    if [ $SECONDS -ge $end ]; then
      echo "run $1 does not become $2:" >&2
      curl -sS "$url/v1/runs/$1" >&2
      return 1
    fi
    sleep 0.1
  done
}

install_packages "${caesura_packages[@]}" "${server_packages[@]}" curl
build_quietly caesura_command -DCAESURA_SERVER=ON
caesura=$PWD/.build/release/runtime/cli/caesura
example=$PWD/runtime/examples/server
work=$(mktemp -d)
server=
app=
stop_all() {
  trap - EXIT INT TERM
  [ -z "$app" ] || kill "$app" 2>/dev/null || true
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap stop_all EXIT
trap 'exit 0' INT TERM

begun=$(date +%s%N)
"$caesura" serve --dir "$work/store" --port 0 >"$work/server.log" 2>&1 &
server=$!
until_told 10 "$work/server.log" 'http://'
url=$(grep -o 'http://[^ ]*' "$work/server.log" | head -n 1)
export CAESURA_URL=$url
say "a server: $url, with its store in $work/store"

# The SDK, and a Node that it likes: v4 wants 20, Debian 12 has 18.
fetch_app() {
  missing="node and npm"
  if ! { command -v node && command -v npm; } >/dev/null; then install_packages nodejs npm || return 1; fi
  cp "$example"/* "$work/" || return 1
  missing="the npm package inngest"
  (cd "$work" && npm install --no-audit --no-fund --loglevel=error --fetch-retries=1) >"$work/npm.log" 2>&1 || return 1
  node=node
  if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
    missing="the npm package node, version 20"
    (cd "$work" && npm install --no-save --no-audit --no-fund --loglevel=error --fetch-retries=1 node@20) >"$work/npm.log" 2>&1 || return 1
    node=$work/node_modules/node/bin/node
  fi
}
say "fetching the SDK from npm"
if fetch_app; then
  (cd "$work" && exec env -u INNGEST_EVENT_KEY -u INNGEST_SIGNING_KEY -u INNGEST_BASE_URL INNGEST_DEV="$url" NODE_NO_WARNINGS=1 "$node" app.mjs) >"$work/app.log" 2>&1 &
  app=$!
  until_told 20 "$work/app.log" '^http://'
  at=$(grep -m 1 '^http://' "$work/app.log")
  say "an app: $at, the example of Inngest's page on cancellation, unchanged;"
  say "the one thing that it is told is INNGEST_DEV=$url. It registers its function:"
  demonstrate curl -sS -X PUT "$at"
  rests=sleeping
  why="it sleeps until its time, without a thread or a connection:"
else
  say "MISSING: $missing could not be fetched, so there is no app:"
  tail -n 3 "$work/npm.log" 2>/dev/null | cut -c 1-120 | show || true
  say "here is the part with curl alone. The function is registered by hand, for an app that nobody answers for:"
  at=http://127.0.0.1:9/api/inngest
  demonstrate curl -sS "$url/fn/register" -d '{"appName": "acme-app", "url": "'$at'", "functions": [{"id": "acme-app-schedule-reminder", "triggers": [{"event": "tasks/reminder.created"}], "cancel": [{"event": "tasks/deleted", "if": "event.data.id == async.data.id"}], "steps": {"step": {"runtime": {"url": "'$at'?fnId=acme-app-schedule-reminder&stepId=step"}}}}]}'
  rests=backing_off
  why="its call was not answered, so that it is tried again later; it can be cancelled until then:"
fi

# remind ID: sends the event; $run is what it started.
remind() {
  demonstrate curl -sS "$url/e/key" -d '{"name": "tasks/reminder.created", "data": {"id": "'"$1"'", "userId": "u-4", "reminderBody": "water the plants", "remindAt": "'"$due"'"}}'
  local event
  event=$(grep -o '[0-9A-Z]\{26\}' <<<"$answer" | head -n 1)
  answer=$(curl -sS "$url/v1/events/$event/runs")
  run=$(member run_id)
  until_state "$run" "$rests"
}
due=$(date -u -d '+7 days' +%Y-%m-%dT%H:%M:%SZ)
say "a reminder for $due, in a week:"
remind t-17
first=$run
say "it has started a run; $why"
demonstrate "$caesura" runs list
say "the task is deleted: the event that cancels. Its data.id is the same:"
demonstrate curl -sS "$url/e/key" -d '{"name": "tasks/deleted", "data": {"id": "t-17"}}'
until_state "$first" cancelled
say "and another one, which a call cancels:"
remind t-18
demonstrate curl -sS -i -X DELETE "$url/v1/runs/$run?reason=asked+by+support"
[[ $answer == *"x-caesura-outcome: cancelled"* ]] || { echo "the answer does not say cancelled" >&2; exit 1; }
say "the answer came after the commit: no step of this run starts any more. What is recorded of it:"
demonstrate curl -sS "$url/v1/runs/$run"
[ "$(member state)" = cancelled ] || { echo "the run is not cancelled" >&2; exit 1; }
say "and in words:"
demonstrate "$caesura" explain "$first"
[[ $answer == *'cancel_on[0]'* ]] || { echo "it was not the event that cancelled it" >&2; exit 1; }
if [ -n "$app" ] && grep -q '^push' "$work/app.log"; then
  echo "a cancelled reminder was pushed" >&2
  exit 1
fi
if [ ! -t 0 ] || [ ! -t 1 ]; then
  say "all of this was true; what was started is stopped"
  exit 0
fi
say "all of this was true. The server${app:+ and the app} go on until Ctrl-C; in another terminal:"
printf '           $ export CAESURA_URL=%s; %s runs list\n' "$url" "$caesura"
wait
