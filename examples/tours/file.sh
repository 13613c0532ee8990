#!/usr/bin/env bash
# Tour 1: the accounts of an app in a file, from a configuration that `init` writes.
. "$(dirname "$0")/stand-ins.sh"
fullstory
cd "$dir"

show baton-host init fullstory --no-input --set "scim-base-url=$BATON_SCIM_BASE_URL" --set 'scim-token=${env:BATON_SCIM_TOKEN}'
show baton-host check
show baton-host sync --output-dir out
show baton-host accounts out/workforce.c1z
