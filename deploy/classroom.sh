#!/usr/bin/env bash
# `make class` and `make class-status` with the stack in containers: trainer/classroom.py there. In a team's stack each
# sheet gets its student's password, by `accounts`, and a token of the API, by `tokens`.
set -euo pipefail
cd "$(dirname "$0")/.."

run() { docker compose --progress quiet run --rm --no-TTY "$@"; }
classroom() { run trainer python classroom.py "$@"; }

services=$(docker compose config --services)
if [[ $1 != --status ]] && grep -qx accounts <<<"$services"; then
  classroom --logins "$@" |
    run --no-deps accounts python -m server.accounts class |
    run --no-deps tokens class
else
  classroom "$@"
fi
