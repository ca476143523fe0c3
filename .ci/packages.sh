#!/bin/bash
# Installs those of the named Debian packages that are missing. Without root or apt-get it only says what is missing,
# so that whoever has the programs from elsewhere can go on.
set -euo pipefail

missing=()
for package in "$@"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "packages: not installed and not root on Debian, so left alone: ${missing[*]}" >&2
  exit 0
fi
echo "packages: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# A daemon that a package would start (docker-registry does) is not wanted: whoever needs one starts its own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 0755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
again=$(dirname "$0")/again.sh
options=(-o Acquire::Retries=5 -o Acquire::http::Timeout=60)
"$again" apt-get "${options[@]}" update -qq </dev/null >&2
"$again" apt-get "${options[@]}" install -y -qq --no-install-recommends "${missing[@]}" </dev/null >&2
