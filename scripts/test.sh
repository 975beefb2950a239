#!/bin/sh
# The whole suite: format, vet, every test on SQLite and PostgreSQL against real
# peers. The throw-away servers start by themselves and stop when idle.
set -eu
cd "$(dirname "$0")/.."

unformatted=$(gofmt -l cmd internal packs e2e)
if [ -n "$unformatted" ]; then
	echo "not gofmt'd: $unformatted" >&2
	exit 1
fi
go vet ./...
# Property tests draw from the commit: a red run can be run again and sees what it
# saw, and every commit tries other cases. RAPID_SEED=0 draws at random.
: "${RAPID_SEED:=$((0x$(git rev-parse --short=12 HEAD 2>/dev/null || echo 1)))}"
export RAPID_SEED
echo "property tests draw from RAPID_SEED=$RAPID_SEED"
# Two packages at a time, and those that drive whole banks and browsers one
# after the other: they measure real time on real sockets and must not starve.
# shellcheck disable=SC2046
go test -p 2 -timeout 30m $(go list ./... | grep -v '/e2e')
go test -p 1 -timeout 30m ./e2e/...
