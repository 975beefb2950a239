#!/usr/bin/env bash
# Runs the example on loopback: sipp as dialer, Asterisk with Parley's gate, sipp as carrier.
#   PARLEY=http://127.0.0.1:8080 PARLEY_KEY=parley_… ./run.sh +999000478984 service
# ROOT=/srv/bullseye runs an Asterisk that lives in a directory of its own (debootstrap).
set -euo pipefail
cd "$(dirname "$0")"
: "${PARLEY:=http://127.0.0.1:8080}" "${PARLEY_KEY:?an API key with gate:use}" "${ROOT:=}"
number=${1:?the number to call} purpose=${2:-collection}
peers=../kamailio
work=$(mktemp -d "$ROOT/tmp/parley-XXXXXX") inside=${ROOT:+/tmp/$(basename "$work")}
: "${inside:=$work}"
asterisk=0
trap 'kill $asterisk $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
cp extensions.conf pjsip.conf parley.agi "$work"
mkdir "$work/run"
printf '[modules]\nautoload = yes\nnoload = chan_sip.so\n' > "$work/modules.conf" # drivers without a configuration decline
printf '[directories]\nastetcdir => %s\nastmoddir => /usr/lib/x86_64-linux-gnu/asterisk/modules\nastvarlibdir => /var/lib/asterisk\nastdatadir => /usr/share/asterisk\nastagidir => %s\nastspooldir => %s\nastrundir => %s\nastlogdir => %s\nastdbdir => %s\n' \
  "$inside" "$inside" "$inside" "$inside/run" "$inside" "$inside" > "$work/asterisk.conf"
[ -d "$ROOT/usr/lib/asterisk/modules" ] && sed -i 's#^astmoddir.*#astmoddir => /usr/lib/asterisk/modules#' "$work/asterisk.conf"
printf '[general]\n[logfiles]\nconsole => notice,warning,error,verbose\n' > "$work/logger.conf"
PARLEY=$PARLEY PARLEY_KEY=$PARLEY_KEY ${ROOT:+chroot "$ROOT"} asterisk -f -vvv -C "$inside/asterisk.conf" > "$work/log" 2>&1 &
asterisk=$!
for _ in $(seq 100); do grep -q "Asterisk Ready" "$work/log" && break; sleep 0.2; done
printf 'SEQUENTIAL\n%s;%s\n' "$number" "$purpose" > "$work/calls.csv"
if [ -n "${CARRIER_XML:-}" ]; then carrier=(-sf "$peers/$CARRIER_XML"); else carrier=(-sn uas); fi
sipp "${carrier[@]}" -i 127.0.0.1 -p 15070 -mp 16500 -nostdin -m 1 > /dev/null 2>&1 &
timeout 60 sipp -sf "$peers/dialer.xml" -inf "$work/calls.csv" -i 127.0.0.1 -p 15061 -mp 16600 -nostdin -m 1 \
  -trace_msg -message_file "$work/messages" 127.0.0.1:15060 > /dev/null 2>&1 || true
sleep 2 # the hang-up handler settles
[ -z "${VERBOSE:-}" ] || cat "$work/log"
grep -a "^SIP/2.0" "$work/messages"
grep -a "Parley:" "$work/log" || true
