#!/bin/bash
# Set-up and tests in one go (`npm run verify`): Debian packages when root, npm ci, build, `npm run ok`, `npm test`.
# Tests that need what the machine does not have are skipped and say so.
set -euo pipefail

cd "$(dirname "$0")/.."
xargs .ci/packages.sh <.ci/packages.txt
npm ci --no-audit --no-fund
npm run build
npm run ok
npm test
