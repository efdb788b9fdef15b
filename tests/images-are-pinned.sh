#!/usr/bin/env bash
# Says which images are named without the digest of what they are: tests/images-are-pinned.sh [FOLDER]
#
# Looks at settings, Dockerfiles, Compose files and CI files, wherever a name is not a variable.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

files=$(find . -path ./.venv -prune -o -path ./.stack -prune -o \
  \( -name .env -o -name '*Dockerfile' -o -path ./.gitlab-ci.yml -o -path './.github/*.yml' \
  -o -name 'compose*.yml' -o -path './benchmarks/*.yml' \) -type f -print)
# NAME_IMAGE=… and NAME_IMAGE: …, FROM …, image: …
named='^ *((ARG +)?[A-Z0-9_]+_IMAGE[=:]|FROM|image:) *["'\'']?[a-z0-9][^ $]*[:/]'
# shellcheck disable=SC2086 # no name here has a space
if missing=$(grep --extended-regexp --line-number "$named" $files /dev/null |
  grep --extended-regexp --invert-match '@sha256:[0-9a-f]{64}\b'); then
  printf 'an image without a digest (NAME:TAG@sha256:…):\n%s\n' "$missing" >&2
  exit 1
fi
