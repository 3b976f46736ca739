#!/usr/bin/env bash
# Make a development hub, and enrolled parties that trust each other, under keys/generated.
#
#   keys/dev-pki.sh [PARTNER...]      default: sheriff health
#
# For development only: all private keys lie on one machine, and nobody compared a fingerprint.
# The directory is git-ignored; remove it to start over.
set -euo pipefail
umask 077
cd "$(dirname "$0")"

partners=("$@")
[ $# -gt 0 ] || partners=(sheriff health)
out=generated
hub=$out/hub
port=${LINKAGE_DEV_PORT:-7443}
linkage=${LINKAGE:-../.venv/bin/linkage}

if [ -e "$hub" ]; then
  echo "keys/$out holds a hub already; remove it to start over" >&2
  exit 1
fi
[ -x "$linkage" ] || { echo "no $linkage; run make test or make demo first" >&2; exit 1; }

mkdir -p "$out"
"$linkage" hub init --name development --address "localhost:$port" --home "$hub" --no-passphrase
"$linkage" hub invite "${partners[@]}" --home "$hub" --out "$out"
"$linkage" hub invite assembler --role assembler --home "$hub" --out "$out"

rm -f "$out/ready"
"$linkage" hub serve --home "$hub" --ready "$out/ready" 2>"$out/hub.log" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
for _ in $(seq 300); do
  [ -e "$out/ready" ] && break
  kill -0 "$server" 2>/dev/null || { cat "$out/hub.log" >&2; exit 1; }
  sleep 0.2
done

pairs=()
for party in "${partners[@]}" assembler; do
  role=agent
  [ "$party" = assembler ] && role=evaluator
  print=$("$linkage" "$role" init --home "$out/$party" | head -n 1)
  "$linkage" "$role" enrol "$out/$party.invite" --home "$out/$party"
  rm "$out/$party.invite"
  pairs+=("$party" "${print// /}")
done
for party in "${partners[@]}" assembler; do
  role=agent
  [ "$party" = assembler ] && role=evaluator
  "$linkage" "$role" trust "${pairs[@]}" --home "$out/$party"
done
rm -f "$out/ready"
echo "made keys/$out; start the hub with: linkage hub serve --home keys/$hub"
