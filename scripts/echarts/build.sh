#!/bin/sh
# Builds the part of Apache ECharts that the pages use, from its published npm
# package. Needed only after a change here: the result is vendored. The versions are pinned
# in package-lock.json, so whoever runs it gets the same bytes.
set -eu
cd "$(dirname "$0")"
npm ci --ignore-scripts --no-audit --no-fund
node build.mjs
rm -rf node_modules
cd ../.. && go test ./internal/httpx -run TestVendor -update
