#!/usr/bin/env bash
# Runs the example on loopback: sipp as dialer, Kamailio with Parley's gate, sipp as carrier.
#   PARLEY=http://127.0.0.1:8080 PARLEY_KEY=parley_… ./run.sh +999000478984 service
set -euo pipefail
cd "$(dirname "$0")"
: "${PARLEY:=http://127.0.0.1:8080}" "${PARLEY_KEY:?an API key with gate:use}"
number=${1:?the number to call} purpose=${2:-collection}
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -r "$work"' EXIT
printf 'SEQUENTIAL\n%s;%s\n' "$number" "$purpose" > "$work/calls.csv"
kamailio -f kamailio.cfg -DD -E -Y "$work" -w "$work" -A PARLEY_KEY="\"$PARLEY_KEY\"" -A PARLEY="\"$PARLEY\"" \
  -A CARRIER='"127.0.0.1:15070"' -A LISTEN='udp:127.0.0.1:15060' &
# sipp's own answering party, which also keeps the proxy in the path.
{ sipp -sd uas || true; } | sed '/last_To:.*tag=/a [last_Record-Route:]' > "$work/carrier.xml"
sipp -sf "${CARRIER_XML:-$work/carrier.xml}" -i 127.0.0.1 -p 15070 -mp 16500 -nostdin -m 1 > /dev/null 2>&1 &
sleep 3
timeout 40 sipp -sf dialer.xml -inf "$work/calls.csv" -i 127.0.0.1 -p 15061 -mp 16600 -nostdin -m 1 \
  -trace_msg -message_file "$work/messages" 127.0.0.1:15060 > /dev/null 2>&1 || true
grep -a "^SIP/2.0\|^X-Parley" "$work/messages"
