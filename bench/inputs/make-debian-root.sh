#!/bin/bash
# Makes the Debian root in which the rows apt-install, npm-ci and pip-install take place, and prints the path of its tar.
# On top of fixtures/scripts/make-debian-root.sh it has what those commands install, downloaded and not installed, so that they
# need no network: /opt/packages and apt's archives, /opt/project and /opt/npm-cache, /opt/requirements.txt and /opt/wheels.
# Made once: later calls find it beside the other root. Needs root, this machine's Node and npm, and the registries.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
base=$("$here/../../fixtures/scripts/make-debian-root.sh")
key=$(cat "$0" "$here"/npm/package.json <(basename "$base") <(node --version) | sha256sum | cut -c1-16)
out=$(dirname "$base")/bench-debian-$key.tar
exec 9>"$(dirname "$base")/bench-debian.lock"
flock 9
if [ -f "$out" ]; then
  printf '%s\n' "$out"
  exit 0
fi

work=$(mktemp -d "$(dirname "$base")/bench-debian-XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
mkdir "$root"
tar -C "$root" --numeric-owner -xpf "$base"

# As the official images do: a layer that is half made is thrown away, so there is nothing to sync.
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/bench"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/opt/ca.pem"
in_root() {
  # shellcheck disable=SC2016 # the inner shell expands it
  unshare --mount --pid --fork sh -c \
    'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
      chroot "$1" /bin/bash -ec "$2"' sh "$root" "$1" >&2
}

echo build-essential git curl >"$root/opt/packages"
printf '%s\n' django fastapi uvicorn sqlalchemy numpy pandas requests boto3 >"$root/opt/requirements.txt"
in_root '
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -y -q --no-install-recommends python3-venv libstdc++6 libatomic1
  apt-get clean
  apt-get install -y -q --no-install-recommends --download-only $(cat /opt/packages)
  python3 -m venv /tmp/venv
  PIP_CERT=/opt/ca.pem /tmp/venv/bin/pip download -q --only-binary=:all: -d /opt/wheels -r /opt/requirements.txt
  rm -rf /tmp/venv /root/.cache'

mkdir "$root/opt/project"
cp "$here/npm/package.json" "$root/opt/project/"
cp "$(readlink -f "$(command -v node)")" "$root/opt/node"
cp -r "$(npm root -g 2>/dev/null)/npm" "$root/opt/npm"
(
  cd "$root/opt/project"
  npm install --package-lock-only --ignore-scripts --no-audit --no-fund --cache "$root/opt/npm-cache"
  npm ci --ignore-scripts --no-audit --no-fund --cache "$root/opt/npm-cache"
  rm -rf node_modules
) >&2
chroot "$root" /opt/node --version >&2
rm "$root/opt/ca.pem"
: >"$root/etc/resolv.conf"

tar -C "$root" --numeric-owner -cf "$out.part" .
mv "$out.part" "$out"
printf '%s\n' "$out"
