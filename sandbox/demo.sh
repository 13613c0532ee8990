#!/usr/bin/env bash
# The demo: two SCIM services on loopback, one baton-host, one sync file.
# Run it with `make demo`, which builds the binaries first. Everything it starts
# it also stops, whether it ends well, fails or is interrupted.
set -euo pipefail

cd "$(dirname "$0")/.."
bin=$PWD/bin
out=${DEMO_OUT:-demo-out}

# The tokens of the two services. They are made up here, given to the services
# and to baton-host by environment, and stand in no file.
export FULLSTORY_SCIM_TOKEN="demo-fullstory-$RANDOM$RANDOM"
export DESIGN_TOOL_SCIM_TOKEN="demo-design-tool-$RANDOM$RANDOM"

services=()
stop_services() {
  trap - EXIT
  for pid in "${services[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${services[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -f "$out"/.ready
}
trap stop_services EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

rm -rf "$out"
mkdir -p "$out"

# start_service TOKEN ARGUMENTS... starts a service on a port of its own choice
# and leaves its SCIM base URL in $url.
start_service() {
  local token=$1
  shift
  mkfifo "$out/.ready"
  BATON_SANDBOX_TOKEN=$token "$bin/baton-sandbox" scim --addr 127.0.0.1:0 "$@" >"$out/.ready" 2>>"$out/services.log" &
  services+=($!)
  if ! read -r -t 30 url <"$out/.ready"; then
    echo "demo: a sandbox service did not start; see $out/services.log" >&2
    exit 1
  fi
  rm -f "$out/.ready"
}

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
if [ ! -t 1 ] || [ -n "${NO_COLOR:-}" ]; then say() { printf '\n%s\n' "$*"; }; fi

say "Two SCIM services, seeded with 40 and 25 people whose ids are the same in both"
start_service "$FULLSTORY_SCIM_TOKEN" --app fullstory --seed 1 --accounts 40 --page-cap 10
fullstory=$url
start_service "$DESIGN_TOOL_SCIM_TOKEN" --app design-tool --seed 2 --accounts 25 --groups 6 --page-cap 10
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
say "The configuration, $out/baton-host.yaml"
cat "$out/baton-host.yaml"

say "baton-host check --config $out/baton-host.yaml"
"$bin/baton-host" check --config "$out/baton-host.yaml"

say "baton-host sync --config $out/baton-host.yaml --output-dir $out"
"$bin/baton-host" sync --config "$out/baton-host.yaml" --output-dir "$out" >"$out/summary.txt"

say "baton-host accounts $out/workforce.c1z"
"$bin/baton-host" accounts "$out/workforce.c1z"

say "The summary of the sync"
cat "$out/summary.txt"
