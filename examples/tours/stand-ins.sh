# Sourced by the tours: a directory that is removed at the end, the programs of `make build` (or of $PROGRAMS), and
# stand-ins for Fullstory and C1 on loopback, unless the environment names real ones.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PATH="${PROGRAMS:-$PWD/bin}:$PATH"
dir=$(mktemp -d)
started=()

finish() {
  trap - EXIT
  for pid in ${started[@]+"${started[@]}"}; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# show runs a command and shows it first, as a person would type it.
show() {
  printf '\n$ %s\n' "$*"
  "$@"
}

# start runs a stand-in in the background and leaves the address that it prints in $address.
start() {
  mkfifo "$dir/address"
  baton-sandbox "$@" >"$dir/address" 2>"$dir/stand-in.log" &
  started+=($!)
  if ! read -r -t 30 address <"$dir/address"; then
    cat "$dir/stand-in.log" >&2
    echo "tour: the stand-in did not start; run make build first" >&2
    exit 1
  fi
  rm "$dir/address"
}

fullstory() {
  if [ -z "${BATON_SCIM_BASE_URL:-}" ]; then
    export BATON_SCIM_TOKEN="made-up-$RANDOM$RANDOM"
    export BATON_SANDBOX_TOKEN=$BATON_SCIM_TOKEN
    start scim --addr 127.0.0.1:0 --app fullstory --seed 1 --accounts 8
    export BATON_SCIM_BASE_URL=$address
  fi
}

c1() {
  if [ -z "${BATON_CLIENT_ID:-}" ]; then
    start c1 --dir "$dir/c1" --client workforce
    set -a
    . "$dir/c1/workforce.env"
    set +a
    export SSL_CERT_FILE=$dir/c1/ca.pem
  fi
}
