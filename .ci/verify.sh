#!/bin/bash
# Set-up and tests in one go (`npm run verify`): Debian packages when root, npm ci, build, `npm run ok`, `npm test`.
# Tests that need what the machine does not have are skipped and say so. What ends it is told last, by name.
set -euo pipefail

cd "$(dirname "$0")/.."
step() {
  local status=0
  "$@" || status=$?
  [ "$status" -eq 0 ] && return
  echo "failed: verify: '$*' ended with $status"
  exit "$status"
}
# shellcheck disable=SC2046 # one word a package
step .ci/packages.sh $(cat .ci/packages.txt)
step .ci/again.sh npm ci --no-audit --no-fund --fetch-retries=5 --fetch-retry-mintimeout=2000
step npm run build
step npm run ok
step npm test
