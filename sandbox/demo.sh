#!/usr/bin/env bash
# The demo: two SCIM services and a stand-in for ConductorOne (C1) on loopback, one
# baton-host, one sync file, one upload. Run it with `make demo`, which builds the binaries
# first. Everything it starts it also stops, whether it ends well, fails or is
# interrupted.
set -euo pipefail

cd "$(dirname "$0")/.."
bin=$PWD/bin
out=${DEMO_OUT:-demo-out}

# The tokens of the two services. They are made up here, given to the services
# and to baton-host by environment, and are in no file.
export FULLSTORY_SCIM_TOKEN="demo-fullstory-$RANDOM$RANDOM"
export DESIGN_TOOL_SCIM_TOKEN="demo-design-tool-$RANDOM$RANDOM"

# Whatever runs is stopped, what was started last first: baton-host needs the others
# to finish. `jobs` knows a process from its first moment.
stop_services() {
  trap '' INT TERM HUP
  trap - EXIT
  local newest_first=
  for pid in $(jobs -p); do newest_first="$pid $newest_first"; done
  for pid in $newest_first; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -f "$out"/.ready
}
trap stop_services EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

rm -rf "$out"
mkdir -p "$out"

# `set -m` gives what is started a separate process group: Ctrl-C then reaches
# this script alone, and each process gets one signal to stop, not two.

# start_scim TOKEN ARGUMENTS... starts a service on a port of its choice
# and leaves its SCIM base URL in $url.
start_scim() {
  local token=$1
  shift
  mkfifo "$out/.ready"
  set -m
  BATON_SANDBOX_TOKEN=$token "$bin/baton-sandbox" scim --addr 127.0.0.1:0 "$@" >"$out/.ready" 2>>"$out/services.log" &
  set +m
  if ! read -r -t 30 url <"$out/.ready"; then
    echo "demo: a sandbox service did not start; see $out/services.log" >&2
    exit 1
  fi
  rm -f "$out/.ready"
}

heading() { printf '\n\033[1m%s\033[0m\n' "$*"; }
if [ ! -t 1 ] || [ -n "${NO_COLOR:-}" ]; then heading() { printf '\n%s\n' "$*"; }; fi

heading "Two SCIM services, seeded with 40 and 25 people whose ids are the same in both"
start_scim "$FULLSTORY_SCIM_TOKEN" --app fullstory --seed 1 --accounts 40 --page-cap 10
fullstory=$url
start_scim "$DESIGN_TOOL_SCIM_TOKEN" --app design-tool --seed 2 --accounts 25 --groups 6 --page-cap 10
design_tool=$url
echo "fullstory    $fullstory"
echo "design-tool  $design_tool"

cat >"$out/baton-host.yaml" <<YAML
plugins:
  fullstory:
    config:
      scim-base-url: $fullstory
      scim-token: \${env:FULLSTORY_SCIM_TOKEN}
  design-tool:
    app: scim
    config:
      scim-display-name: Design Tool
      scim-base-url: $design_tool
      scim-token: \${env:DESIGN_TOOL_SCIM_TOKEN}
uploads:
  workforce:
    plugins: [fullstory, design-tool]
YAML
heading "The configuration, $out/baton-host.yaml"
cat "$out/baton-host.yaml"

heading "baton-host check --config $out/baton-host.yaml"
"$bin/baton-host" check --config "$out/baton-host.yaml"

heading "baton-host sync --config $out/baton-host.yaml --output-dir $out"
"$bin/baton-host" sync --config "$out/baton-host.yaml" --output-dir "$out" >"$out/summary.txt"

heading "baton-host accounts $out/workforce.c1z"
"$bin/baton-host" accounts "$out/workforce.c1z"

heading "The summary of the sync"
cat "$out/summary.txt"

heading "C1's stand-in has a full sync to do, and credentials for the one who does it"
mkfifo "$out/.ready"
set -m
"$bin/baton-sandbox" c1 --dir "$out/c1" --client workforce --exit-after 1 >"$out/.ready" 2>>"$out/services.log" &
set +m
exec 3<"$out/.ready"
if ! read -r -t 30 c1 <&3; then
  echo "demo: the stand-in for C1 did not start; see $out/services.log" >&2
  exit 1
fi
echo "C1           $c1"

heading "baton-host run --config $out/baton-host.yaml --state-dir $out/state"
set -m
(
  # BATON_CLIENT_ID and BATON_CLIENT_SECRET, as the stand-in made them.
  set -a
  . "$out/c1/workforce.env"
  SSL_CERT_FILE=$out/c1/ca.pem BATON_HOST_ID=demo \
    exec "$bin/baton-host" run --config "$out/baton-host.yaml" --state-dir "$out/state" 2>"$out/run.log"
) &
host=$!
set +m
if ! read -r -t 120 received <&3; then
  echo "demo: C1 received no upload; see $out/run.log and $out/services.log" >&2
  exit 1
fi
echo "C1 received, and checked against the SHA-256 that came with it:"
echo "$received"

heading "The accounts in what C1 received, by app"
"$bin/baton-host" accounts "$out"/c1/uploads/workforce/*.c1z --output csv | tail -n +2 | cut -d, -f1 | sort | uniq -c

heading "SIGTERM to baton-host run"
kill "$host"
status=0
wait "$host" || status=$?
echo "it ends with status $status; its log is $out/run.log"
exit "$status"
