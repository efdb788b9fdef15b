#!/usr/bin/env bash
# Makes the password that backups are encrypted with, if there is none: password.sh FILE
set -euo pipefail

file=$1
[[ ! -s $file ]] || exit 0
mkdir -p "$(dirname "$file")"
(umask 077 && head -c 32 /dev/urandom | base64 | tr -d '/+=\n' >"$file")
echo "backup: made their password, $file: keep a copy elsewhere, nothing opens the backups without it" >&2
