#!/usr/bin/env bash
# Begins anew with the stack in containers: its volumes are deleted. With VERSION=1 the trainer goes back to the first
# version instead (trainer/reset.py), while MLflow runs. Asks, unless FORCE=yes. Exit code 2: nothing was done.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  printf 'make reset: %s\n' "$*" >&2
  exit 2
}

docker info >/dev/null 2>&1 || fail "no Docker engine answers; for the data of \`make run\`: make reset LOCAL=yes"

if [[ ${VERSION-} ]]; then
  [[ $VERSION == 1 ]] || fail "VERSION=$VERSION: only 1 can be gone back to; leave it out to begin anew"
  options=(--rm)
  [[ -t 0 ]] || options+=(--no-TTY)
  program=(python reset.py)
  [[ ${FORCE-} != yes ]] || program+=(--yes)
  exec docker compose --progress quiet run "${options[@]}" trainer "${program[@]}"
fi

services=$(docker compose config --services)
for service in db s3; do
  grep -qx "$service" <<<"$services" ||
    fail "the data of $service are outside of this stack: delete them there, or go back with VERSION=1"
done
printf 'the containers are stopped, and these volumes deleted, with all runs and models: %s\n' \
  "$(docker compose config --volumes | sort | paste -sd ' ')"
if [[ ${FORCE-} != yes ]]; then
  [[ -t 0 ]] || fail "nothing was deleted: nobody was there to ask; FORCE=yes answers"
  read -r -p 'type yes to go on: ' answer || echo # Ctrl-D
  [[ $answer == yes ]] || fail "nothing was deleted"
fi
docker compose down --volumes --remove-orphans
echo "deleted; \`make up\` begins anew"
