#!/usr/bin/env bash
# Resolves every *.in file to a hashed *.txt beside it. The development lock holds
# everything and is made first; the others are held to its versions, so that all of
# them can be installed into one environment.
#   ./local/lock.sh            keep what is pinned where it still fits
#   ./local/lock.sh --upgrade  newest versions of everything
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-annotate --custom-compile-command 'make lock' "$@"
}

compile requirements-dev.in --output-file requirements-dev.txt "$@"
for name in requirements requirements-local trainer/requirements trainer/requirements-spark classificador-produtos/requirements; do
  compile "$name.in" --constraint requirements-dev.txt --output-file "$name.txt"
done
