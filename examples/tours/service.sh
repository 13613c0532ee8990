#!/usr/bin/env bash
# Tour 2: a host that serves C1. C1 asks for a sync, and the host uploads it.
. "$(dirname "$0")/stand-ins.sh"
fullstory
c1
cd "$dir"

show baton-host init fullstory --no-input --set "scim-base-url=$BATON_SCIM_BASE_URL" --set 'scim-token=${env:BATON_SCIM_TOKEN}' \
  --client-id '${env:BATON_CLIENT_ID}' --client-secret '${env:BATON_CLIENT_SECRET}'
printf '\n$ baton-host run --state-dir state &\n'
baton-host run --state-dir state 2>run.log &
host=$!
started=("$host" ${started[@]+"${started[@]}"}) # The host stops before what it needs.
for _ in $(seq 300); do
  if baton-host status --state-dir state 2>/dev/null | grep -q '^workforce .*fresh'; then
    break
  fi
  if ! kill -0 "$host" 2>/dev/null; then
    cat run.log >&2
    exit 1
  fi
  sleep 0.2
done
show baton-host status --state-dir state
show kill "$host"
wait "$host"
