#!/usr/bin/env bash
# Backups of what `make run` keeps in STACK_HOME: local.sh backup [--check] | backups | restore [SNAPSHOT]
#
# To BACKUP_TARGET (./backups-local), with the password in BACKUP_PASSWORD_FILE (./backup.password).
# FORCE=yes restores over other data. BACKUP_STALL_SECONDS and exit codes are those of backup.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."

command=${1-}
shift || true
fail() {
  printf 'make %s: %s\n' "$command" "$*" >&2
  exit 2
}

for program in restic sqlite3; do
  command -v "$program" >/dev/null || fail "$program was not found: install it, sudo apt-get install restic sqlite3"
done
# expanded PATH: zsh and dash leave the ~ of an argument such as STACK_HOME=~/x to us.
expanded() { if [[ $1 == \~/* ]]; then printf '%s\n' "$HOME/${1:2}"; else printf '%s\n' "$1"; fi; }
STACK_HOME=$(realpath --canonicalize-missing "$(expanded "${STACK_HOME:-.stack}")")
export STACK_HOME BACKUP_OF=sqlite-folder BACKUP_WORK=$STACK_HOME/backup
RESTIC_REPOSITORY=$(expanded "${BACKUP_TARGET:-$PWD/backups-local}")
RESTIC_PASSWORD_FILE=$(realpath --canonicalize-missing "$(expanded "${BACKUP_PASSWORD_FILE:-backup.password}")")
export RESTIC_REPOSITORY RESTIC_PASSWORD_FILE
# What the user's own backups are kept by: restic takes one repository and one password only.
unset RESTIC_REPOSITORY_FILE RESTIC_PASSWORD_COMMAND

case $command in
  backup)
    [[ -f $STACK_HOME/mlflow.db ]] || fail "there is nothing in $STACK_HOME: \`make run\` has not been started there"
    deploy/backup/password.sh "$RESTIC_PASSWORD_FILE"
    deploy/backup/backup.sh make "$@"
    ;;
  backups) deploy/backup/backup.sh list ;;
  restore)
    mkdir -p "$STACK_HOME"
    # The lock of `make run`.
    exec 8>>"$STACK_HOME/lock"
    flock --nonblock 8 || fail "\`make run\` uses $STACK_HOME: stop it first"
    snapshot=${1-}
    if [[ -z $snapshot ]]; then
      deploy/backup/backup.sh list
      read -r -p 'which one? its ID, or latest: ' snapshot || fail "nothing was restored: nobody said which; SNAPSHOT=latest does"
    fi
    deploy/backup/backup.sh restore "$snapshot"
    ;;
  *) fail "which? backup, backups or restore" ;;
esac
