#!/bin/sh
# Makes sure that the peers the tests talk to are on this machine: programs that
# Parley's authors did not write. Installs them on Debian when it may; otherwise
# names what is missing, and in CI that is a failure.
set -eu

missing=""
need() { # need PROGRAM PACKAGE
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need sipp sip-tester
need baresip baresip-core
need sox sox
need espeak-ng espeak-ng
[ -x /usr/sbin/exim4 ] || missing="$missing exim4-daemon-light"
need chromium chromium
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || missing="$missing postgresql"
ls /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc >/dev/null 2>&1 || missing="$missing fonts-noto-cjk"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing:$missing"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086
	apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 || {
		apt-get update >/dev/null
		# shellcheck disable=SC2086
		apt-get install -y --no-install-recommends $missing >/dev/null
	}
	exit 0
fi
echo "missing for the tests:$missing" >&2
echo "install them with:  sudo apt-get install --no-install-recommends$missing" >&2
[ -z "${CI:-}" ] || exit 1
echo "going on without; the tests that need them are skipped and say so" >&2
