#!/usr/bin/env bash
# Tour 3: the connector alone, with the SDK's command line and without a host.
. "$(dirname "$0")/stand-ins.sh"
fullstory
cd "$dir"

show baton-fullstory -f sync.c1z --log-level error
show baton-host accounts sync.c1z
