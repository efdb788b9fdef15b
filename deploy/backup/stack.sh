#!/usr/bin/env bash
# Backups of the stack in containers: stack.sh backup [--check] | backups | restore [SNAPSHOT] | upgrade
#
# What compose.backup.yml needs is made here: the backups' folder and their password. FORCE=yes
# restores into a stack that has data. Exit codes are those of backup.sh. An upgrade that fails is
# undone: the backup that it began with, and the images, which are kept as NAME:TAG-before.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Also where the terminal is gone.
say() { printf 'make %s: %s\n' "$command" "$*" >&2 || true; }
fail() {
  say "$1"
  exit "${2:-2}"
}

# setting NAME: as Compose finds it, in the shell or the last line of its files; of a path that begins with ~/, too.
setting() {
  local files=${COMPOSE_ENV_FILES:-.env} value
  # shellcheck disable=SC2086 # a list with commas
  value=${!1-$(sed -n "s/^$1=//p" ${files//,/ } | tail -n 1 | tr -d "\"'\r")}
  if [[ $value == \~/* ]]; then value=$HOME/${value:2}; fi
  echo "$value"
}

# backup.sh in its container. Whoever asks reads what it says, not what Compose does. MySQL and S3 are
# started where nothing runs; else all is left alone, also what .env has other settings for by now.
in_container() {
  local options=(--rm --no-TTY)
  [[ -z $(docker compose ps --quiet --status running) ]] || options+=(--no-deps)
  with_backup run "${options[@]}" backup "$@"
}
with_backup() { COMPOSE_FILE=$all_files docker compose --progress quiet "$@"; }

# make_backup [--check]: says its ID.
make_backup() {
  local code=0
  in_container make "$@" || code=$?
  # Killed, it could not say so itself.
  ((code != 137)) || in_container killed
  return "$code"
}

prepare() {
  docker info >/dev/null 2>&1 || fail "no Docker engine answers; for the data of \`make run\`: make $command LOCAL=yes"
  local folder password ssh
  all_files=$(setting COMPOSE_FILE)
  if [[ -z $all_files ]]; then
    all_files=compose.yml
    [[ ! -f compose.override.yml ]] || all_files+=:compose.override.yml
  fi
  [[ :$all_files: == *[:/]compose.backup.yml:* ]] || all_files+=:compose.backup.yml

  # Its scripts may be newer than the image.
  with_backup build --quiet backup >/dev/null 2>&1 || say "the backup's image could not be built: the one that is there is used"

  folder=$(realpath --canonicalize-missing "$(setting BACKUP_FOLDER)")
  password=$(realpath --canonicalize-missing "$(setting BACKUP_PASSWORD_FILE)")
  if [[ ! -s $password ]]; then
    [[ $command == backup || $command == upgrade ]] ||
      fail "there is no password at $password: put the one there that the backups were made with"
    deploy/backup/password.sh "$password"
  fi
  mkdir -p "$folder"
  # Both belong to the user of the container; the password can still be read by whoever made it.
  if [[ $(stat --format %u "$folder" "$password" | sort -u) != 10001 ]]; then
    chmod 440 "$password"
    with_backup run --rm --no-TTY --no-deps --user 0 --cap-add CHOWN --volume "$folder:/folder" \
      --volume "$password:/password" --entrypoint chown backup "10001:$(id -g)" /folder /password
  fi
  # ssh takes no key that is its own user's and that others may read, too: so it stays whose it is.
  ssh=$(realpath --canonicalize-missing "$(setting BACKUP_SSH_FOLDER)")
  if [[ $(setting BACKUP_TARGET) == sftp:* && $(find "$ssh" ! -uid 10001 ! -gid 10001 2>/dev/null) ]]; then
    with_backup run --rm --no-TTY --no-deps --user 0 --cap-add CHOWN --cap-add FOWNER --cap-add DAC_READ_SEARCH \
      --volume "$ssh:/ssh" --entrypoint sh backup -c 'chgrp -R 10001 /ssh && chmod -R g=rX /ssh'
  fi
}

restore() {
  local snapshot=$1 code=0
  if [[ -z $snapshot ]]; then
    in_container list
    read -r -p 'which one? its ID, or latest: ' snapshot || fail "nothing was restored: nobody said which; SNAPSHOT=latest does"
  fi
  in_container may-restore "$snapshot"
  docker compose --progress quiet stop mlflow
  in_container restore "$snapshot" || code=$?
  ((code == 0 || code == 3)) || fail "MLflow stays stopped; run it again" "$code"
  docker compose --progress quiet up --detach || fail "not all could be started: docker compose logs mlflow says why" 1
  # It read its authority when it started.
  if docker compose config --services | grep -x caddy >/dev/null; then docker compose --progress quiet restart caddy; fi
  exit "$code"
}

upgrade() {
  local id images served=no interrupted=no
  if api_is healthy; then served=yes; fi
  id=$(make_backup) || fail "without a backup there is no upgrade: nothing was changed" 1
  mapfile -t images < <(with_backup config --images | grep "^$(setting IMAGE_PREFIX)/" | sort --unique)
  # From here on all is new or all as it was: a connection that is lost ends nothing, Ctrl-C goes back.
  trap '' HUP
  trap 'interrupted=yes' INT TERM
  tag_images '' -before
  say "building the images"
  if ! with_backup build --quiet || [[ $interrupted == yes ]]; then
    # Some may have been.
    tag_images -before ''
    fail "they could not be built: nothing was changed" 1
  fi
  if migrate && [[ $interrupted == no ]]; then
    say "done; backup $id is what was there before"
    return
  fi
  trap '' INT TERM
  # What they say goes with their containers.
  docker compose logs --tail 10 mlflow classificador-produtos >&2 || true
  say "it failed: going back to backup $id and to the images of before"
  tag_images -before ''
  docker compose --progress quiet stop mlflow
  # 3: restored, but a file was missing before, too.
  FORCE=yes in_container restore "$id" || (($? == 3)) || fail "the backup could not be restored: make restore SNAPSHOT=$id FORCE=yes" 1
  docker compose --progress quiet up --detach
  fail "all is as it was before; the lines above say why it could not be upgraded" 1
}

# tag_images FROM TO: each of the stack's own images NAME:TAG$FROM is called NAME:TAG$TO, too.
tag_images() {
  local image
  for image in "${images[@]}"; do
    ! docker image inspect "$image$1" >/dev/null 2>&1 || docker tag "$image$1" "$image$2"
  done
}

migrate() {
  docker compose --progress quiet stop mlflow &&
    docker compose --progress quiet run --rm --no-TTY mlflow python -m server.with_mysql upgrade &&
    # Ends well only if MLflow is healthy: the trainer waits for that.
    docker compose --progress quiet up --detach || return 1
  until [[ $served == no ]] || api_is healthy; do
    [[ $interrupted == no ]] && ! api_is 'unhealthy|restarting|exited' || return 1
    sleep 2
  done
}

api_is() {
  docker compose ps --all --format '{{.Service}} {{.Health}} {{.State}}' |
    grep -E "^classificador-produtos .*\<($1)\>" >/dev/null
}

command=${1-}
shift || true
case $command in
  backup)
    prepare
    make_backup "$@"
    ;;
  backups)
    prepare
    in_container list
    ;;
  restore)
    prepare
    restore "${1-}"
    ;;
  upgrade)
    prepare
    upgrade
    ;;
  *) fail "which? backup, backups, restore or upgrade" ;;
esac
