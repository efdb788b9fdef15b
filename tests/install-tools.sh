#!/usr/bin/env bash
# What the tests need from the system: Chromium for the browser tests, shellcheck for the
# shell scripts. On Debian and Ubuntu as root it installs them; elsewhere it says what is
# missing, and the tests that need it say that they were skipped.
set -euo pipefail

missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
  command -v google-chrome >/dev/null || missing+=(chromium)
command -v shellcheck >/dev/null || missing+=(shellcheck)
((${#missing[@]})) || exit 0

if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "make test: apt-get could not install ${missing[*]}; its log: $log" >&2
    exit 2
  fi
  rm -f "$log"
else
  echo "not installed: ${missing[*]}; the tests that need them will be skipped"
fi
