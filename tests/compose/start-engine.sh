#!/usr/bin/env bash
# Makes sure that a Docker engine with Compose and buildx answers: tests/compose/start-engine.sh
#
# Does nothing where one answers already. Else, as root on Debian, it installs what
# is missing and starts dockerd in the background; systemd is not needed. For
# development machines and CI: on a server the engine is the system's business.
set -euo pipefail

# shellcheck source=../../deploy/offline-images/debian.sh
source "$(dirname "$0")/../../deploy/offline-images/debian.sh"

state=/var/lib/compose-tests-engine # pid file and log

say() { printf 'engine: %s\n' "$*"; }
fail() {
  printf 'engine: %s\n' "$*" >&2
  exit 2
}

engine_answers() { docker info >/dev/null 2>&1; }
has_plugins() { docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; }

install_engine() {
  say "installing the engine from Debian's packages"
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get update || fail "apt-get update failed; see the lines above"
  quietly apt-get install -y --no-install-recommends docker.io iptables ||
    fail "apt-get could not install docker.io and iptables; see the lines above"
}

# Compose and buildx come from Debian trixie; being static Go programs they run on bookworm
# too. apt works in a folder of its own here, so that this machine's sources stay as they are.
install_plugins() {
  local mirror folder=/usr/libexec/docker/cli-plugins work
  say "installing the Compose and buildx plugins from Debian trixie"
  mirror=$(debian_mirror) || fail "install docker compose and docker buildx by hand, then start again"
  work=$(mktemp -d)
  # apt drops its privileges to _apt for downloads, which must be able to enter.
  chmod 755 "$work"
  mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/plugins"
  echo "deb [signed-by=$DEBIAN_KEYRING] $mirror trixie main" >"$work/sources.list"
  local options=(-o Dir::State="$work/state" -o Dir::State::status=/dev/null
    -o Dir::Cache="$work/cache" -o Dir::Etc::sourcelist="$work/sources.list"
    -o Dir::Etc::sourceparts=/dev/null -o Acquire::Languages=none)
  quietly apt-get "${options[@]}" update || fail "could not read trixie's package list from $mirror"
  (cd "$work" && quietly apt-get "${options[@]}" download docker-compose docker-buildx) ||
    fail "could not download docker-compose and docker-buildx from $mirror"
  local package
  for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/plugins"; done
  mkdir -p "$folder"
  find "$work/plugins" -type f \( -name docker-compose -o -name docker-buildx \) -path '*/cli-plugins/*' \
    -exec install -m 755 -t "$folder" {} +
  rm -rf "$work"
  has_plugins || fail "the plugins were installed in $folder, but docker does not find them"
}

start_engine() {
  mkdir -p "$state"
  say "starting dockerd (log: $state/dockerd.log)"
  # A daemon that was killed leaves these behind, and a new one believes them.
  if [[ -f /var/run/docker.pid ]] && ! kill -0 "$(</var/run/docker.pid)" 2>/dev/null; then
    rm -f /var/run/docker.pid
  fi
  setsid nohup dockerd --pidfile /var/run/docker.pid >>"$state/dockerd.log" 2>&1 </dev/null &
  local pid=$! tries
  echo "$pid" >"$state/dockerd.pid"
  for ((tries = 0; tries < 300; tries++)); do
    if engine_answers; then return; fi
    if ! kill -0 "$pid" 2>/dev/null; then break; fi
    sleep 0.2
  done
  tail -n 15 "$state/dockerd.log" >&2
  fail "dockerd did not start; its last lines stand above"
}

if command -v docker >/dev/null && engine_answers && has_plugins; then
  say "already running: $(docker version --format '{{.Server.Version}}')"
  exit 0
fi
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  fail "no Docker engine with Compose and buildx answers, and only root on Debian can be helped from here"
fi

if ! command -v docker >/dev/null || ! command -v dockerd >/dev/null || ! command -v iptables >/dev/null; then
  engine_answers || install_engine
fi
has_plugins || install_plugins
engine_answers || start_engine
say "docker $(docker version --format '{{.Server.Version}}'), compose $(docker compose version --short), started"
