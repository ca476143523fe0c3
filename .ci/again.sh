#!/bin/bash
# again.sh CMD...: runs CMD, and when it fails once more after a pause, up to four times in all: for what needs the network, where a
# mirror may be slow or away for a moment. Each failure is told; the last one's exit code is its own.
set -uo pipefail

for pause in 5 20 60 none; do
  "$@" && exit 0
  status=$?
  [ "$pause" != none ] || break
  echo "again: '$*' ended with $status; again in $pause s" >&2
  sleep "$pause"
done
echo "again: '$*' ended with $status four times: given up" >&2
exit "$status"
