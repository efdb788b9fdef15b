#!/usr/bin/env bash
# Keeps all that a stack knows in a restic repository, and brings it back; docs/backup.md.
#
#   backup.sh make [--check] [OPTION...]   one backup; the options go to `restic backup`
#   backup.sh list                         the backups that are kept
#   backup.sh may-restore SNAPSHOT         whether there is one, and the stack is empty or FORCE=yes
#   backup.sh restore SNAPSHOT             a backup back into the stack: an id, or latest
#   backup.sh schedule                     make, at each of the times of BACKUP_SCHEDULE
#   backup.sh killed                       say of one that was killed that it failed
#
# BACKUP_OF says what is kept: mysql-s3 (Compose) or sqlite-folder (make run). BACKUP_WORK is a
# folder to work in; RESTIC_REPOSITORY and RESTIC_PASSWORD_FILE are restic's own. A restic that has
# moved no data for BACKUP_STALL_SECONDS (600) is ended.
# Exit code 1: it failed; 2: a setting or an argument is wrong, nothing was done; 3: restored,
# but files are missing that the database names.
set -euo pipefail

what=${BACKUP_OF:?}
work=${BACKUP_WORK:?}
# What a backup holds, laid out as it is kept.
stage=$work/stage
stall_seconds=${BACKUP_STALL_SECONDS:-600}

say() { printf 'backup: %s\n' "$*" >&2; }
fail() {
  say "$1"
  exit "${2:-1}"
}

[[ $stall_seconds =~ ^[1-9][0-9]*$ ]] ||
  fail "BACKUP_STALL_SECONDS=$stall_seconds: must be a whole number of seconds" 2

# shellcheck source=mysql-s3.sh
source "$(dirname "$(realpath "$0")")/$what.sh"

# restic_ ARGUMENT...: restic, ended when it moves no data any more: at a target that has become full, or does not
# answer, it can wait for ever, or crash (2 is Go's code for that).
restic_() {
  local code=0 how free=''
  rm -f "$work/stalled"
  (
    pid=$BASHPID
    end_if_stalled "$pid" &>/dev/null 8>&- 9>&- &
    exec restic "$@"
  ) || code=$?
  if ((code == 0)); then return; fi
  if [[ -e $work/stalled ]]; then
    how="no data moved for $stall_seconds s"
  elif ((code == 2)); then
    how="it crashed"
  else
    return $code
  fi
  [[ ! -d $RESTIC_REPOSITORY ]] || free=", where $(df --block-size M --output=avail "$RESTIC_REPOSITORY" | tail -n 1 | tr -d ' ')B are free"
  echo "ended: $how: make room$free, or see why it does not answer" >&2
  return $code
}

# end_if_stalled PID: by what Ctrl-C sends, so that it takes its lock away. A lock that is refreshed, and a try that is
# repeated, read and write less than this.
end_if_stalled() {
  local self=$BASHPID in out before=0 since=$SECONDS
  while { read -r _ in && read -r _ out; } <"/proc/$1/io"; do
    if ((in + out > before + 100000)); then
      before=$((in + out))
      since=$SECONDS
    elif ((SECONDS - since >= stall_seconds + 30)); then
      kill -KILL "$1"
    elif ((SECONDS - since >= stall_seconds)) && [[ ! -e $work/stalled ]]; then
      : >"$work/stalled"
      # Its ssh, if it has one, would wait on.
      cat "/proc/$1"/task/*/children | tr ' ' '\n' | grep -vx "$self" | xargs --no-run-if-empty kill || true
      kill -INT "$1"
    fi
    sleep 1
  done
}

# Of what a program said, the line that tells most: how restic_ saw it end, after the last that went wrong before; ssh's,
# if it is ssh that could not; of restic's the one that calls it fatal, which a newer one writes as JSON.
reason() {
  local ended
  if ended=$(sed -n 's/^ended: //p' <<<"$1" | grep .); then
    sed -n 's/^[A-Z][a-z]*(.*) \(failed\|returned error, retrying after [^ ]*\): \(.*\)/\2; /p' <<<"$1" | tail -n 1 | tr -d '\n'
    echo "$ended"
    return
  fi
  sed -n -e 's/\r$//' -e 's/^subprocess ssh: \(ssh: \)\?/ssh: /p' <<<"$1" | tail -n 1 | grep . ||
    sed -n 's/.*Fatal: \(.*[^"}]\).*/\1/p' <<<"$1" | tail -n 1 | grep . || sed '/^$/d' <<<"$1" | tail -n 1
}

# One at a time: nobody else changes the stage, or holds a lock on the repository.
alone() {
  mkdir -p "$work" "$stage" 2>/dev/null || fail "$work cannot be written by user $(id -u)" 2
  exec 9>"$work/lock"
  flock --nonblock 9 || fail "another backup or restore is on its way: wait until it has ended"
}

# open_repository [make]: see that it can be read, or make it.
open_repository() {
  local said
  [[ -e $RESTIC_PASSWORD_FILE ]] ||
    fail "there is no $RESTIC_PASSWORD_FILE: \`make backup\` makes it with the first backup; those of elsewhere need the one that they were made with (BACKUP_PASSWORD_FILE)" 2
  [[ -r $RESTIC_PASSWORD_FILE ]] || fail "the password's file cannot be read by user $(id -u): see BACKUP_PASSWORD_FILE" 2
  [[ -s $RESTIC_PASSWORD_FILE ]] || fail "the password's file is empty: see BACKUP_PASSWORD_FILE" 2
  if said=$(restic_ cat config --no-lock 2>&1); then return; fi
  [[ $said != *"wrong password"* ]] ||
    fail "the password does not open $RESTIC_REPOSITORY: it was made with another (BACKUP_PASSWORD_FILE)" 2
  [[ $said != *"ended: "* ]] || fail "$RESTIC_REPOSITORY cannot be used: $(reason "$said")"
  [[ ${1-} == make ]] || fail "there is no backup at $RESTIC_REPOSITORY, or it can't be reached: $(reason "$said")"
  said=$(restic_ init 2>&1) || fail "$RESTIC_REPOSITORY cannot be used: $(reason "$said")"
  say "made a new repository at $RESTIC_REPOSITORY"
}

# write_metrics CODE SECONDS [BYTES]: for Prometheus's node exporter, where it looks.
write_metrics() {
  [[ -d ${BACKUP_METRICS-} ]] || return 0
  local file=$BACKUP_METRICS/backup.prom now success=0
  now=$(date +%s)
  {
    if (($1 == 0)); then
      success=1
      printf 'backup_last_success_timestamp_seconds %s\nbackup_size_bytes %s\n' "$now" "$3"
    else
      grep --no-messages -E '^backup_(last_success|size)_' "$file" || true
    fi
    printf 'backup_last_run_timestamp_seconds %s\nbackup_last_run_success %s\nbackup_duration_seconds %s\n' \
      "$now" "$success" "$2"
  } >"$file.new"
  mv "$file.new" "$file"
}

make_backup() {
  local check=no said
  id='' size=0 # what the trap looks at
  if [[ ${1-} == --check ]]; then
    check=yes
    shift
  fi
  alone
  # shellcheck disable=SC2154 # code is set in the trap itself
  trap 'code=$?; write_metrics $code $SECONDS "$size"; ((code == 0)) || [[ $id ]] || say "no backup was made"' EXIT
  open_repository make
  # Left by a run that was killed: there is no other, and one repository is one stack's.
  said=$(restic_ unlock --remove-all --quiet 2>&1) || fail "$RESTIC_REPOSITORY cannot be used: $(reason "$said")"
  # The database first: so it names no file that the files, taken after it, don't have.
  copy_database
  copy_files
  versions >"$stage/versions.json"
  if ! said=$(cd "$stage" && restic_ backup --json --quiet "$@" . 2>"$work/problem"); then
    # A folder gets back the room that this took: else even a smaller one may not fit any more.
    [[ ! -d $RESTIC_REPOSITORY ]] ||
      { restic_ unlock --remove-all && restic_ prune --max-repack-size 0; } &>/dev/null || true
    fail "restic could not write to $RESTIC_REPOSITORY: $(reason "$(<"$work/problem")")"
  fi
  # As the list has it; a newer restic says it in full here.
  id=$(sed -n 's/.*"snapshot_id":"\([0-9a-f]\{8\}\).*/\1/p' <<<"$said")
  size=$(sed -n 's/.*"total_bytes_processed":\([0-9]*\).*/\1/p' <<<"$said" | tail -n 1)
  said=$(restic_ forget --quiet --group-by '' --prune --keep-within 1d --keep-daily "${BACKUP_KEEP_DAYS:-7}" \
    --keep-weekly "${BACKUP_KEEP_WEEKS:-4}" --keep-monthly "${BACKUP_KEEP_MONTHS:-12}" 2>&1) ||
    fail "backup $id is kept, but older ones could not be removed: $(reason "$said")"
  [[ $check == no ]] || restic_ check --read-data >&2 || fail "backup $id is kept, but not all at $RESTIC_REPOSITORY is whole"
  say "kept at $RESTIC_REPOSITORY: $((size / 1000000)) MB, in $SECONDS s"
  echo "$id"
}

# may_restore SNAPSHOT: whether there is such a backup, and nothing that it would replace unasked.
may_restore() {
  [[ -n ${1-} ]] || fail "which? backup.sh restore SNAPSHOT" 2
  open_repository
  restic_ snapshots --no-lock --json "$1" 2>/dev/null | grep '"id"' >/dev/null || fail "there is no backup $1; these are kept: $(ids)" 2
  [[ ${FORCE-} == yes ]] || is_empty ||
    fail "there are runs or models here already, which a restore would put others in place of: FORCE=yes does it" 2
}

restore() {
  local said
  alone
  may_restore "$@"
  rm -rf "$stage"
  said=$(restic_ restore "$1" --no-lock --target "$stage" --verify 2>&1) || fail "backup $1 could not be read: $(reason "$said")"
  # The files first: so the database never names what is not there yet.
  load_files
  load_database
  say "restored; made with $(tr -d '{}"\n' <"$stage/versions.json")"
  check_files
}

ids() { restic_ snapshots --no-lock --json | grep -o '"short_id":"[^"]*"' | cut -d '"' -f 4 | tr '\n' ' '; }

# Whether all that the backup holds is there again, with the files of each version and model that the database names.
check_files() {
  local missing lists=$work/lists
  rm -rf "$lists"
  mkdir "$lists"
  # Written down first: a list that could not be had would look like one without gaps.
  files_here >"$lists/here" || fail "restored, but the files could not be listed, so nothing is said of them"
  (cd "$stage/files" && find . -type f | cut -c 3-) >"$lists/kept"
  named_in_database >"$lists/named" || fail "restored, but the database does not answer, so nothing is said of its files"
  missing=$(awk -F '\t' '
    FILENAME == ARGV[1] { here[$0]; path = $0; while (sub("/[^/]*$", "", path)) here[path]; next }
    FILENAME == ARGV[2] { if (!($0 in here)) print $0; next }
    { path = $4; if (sub("^mlflow-artifacts:/+", "", path) && !(path in here)) print path ", of " $1 " " $2 " " $3 }
  ' "$lists/here" "$lists/kept" "$lists/named")
  if [[ -n $missing ]]; then
    say "restored, but these files are missing:"
    printf '%s\n' "$missing" >&2
    exit 3
  fi
  say "all files are there that the database names"
}

# What the database names: what it is, its number, its name and the address of its files, with tabs between.
named_in_database() {
  local names
  query "SELECT 'version', version, name, COALESCE(storage_location, source) FROM model_versions
         WHERE current_stage <> 'Deleted_Internal'" && names=$(tables) || return
  # An MLflow before 3 has no such table. 2 is READY.
  ! grep -qx logged_models <<<"$names" ||
    query "SELECT 'model', model_id, name, artifact_location FROM logged_models
           WHERE lifecycle_stage = 'active' AND status = 2"
}

# The next of the times in BACKUP_SCHEDULE, in seconds since 1970.
next_time() {
  local time day
  for time in $BACKUP_SCHEDULE; do
    for day in today tomorrow; do date --date "$day $time" +%s; done
  done | sort -n | awk -v now="$(date +%s)" '$1 > now { print; exit }'
}

schedule() {
  local next
  [[ ${BACKUP_SCHEDULE-} =~ ^([01][0-9]|2[0-3]):[0-5][0-9]( +([01][0-9]|2[0-3]):[0-5][0-9])*$ ]] ||
    fail "BACKUP_SCHEDULE=${BACKUP_SCHEDULE-}: must be times of the day in UTC, such as 03:00 or 03:00 15:00" 2
  while true; do
    next=$(next_time)
    say "the next backup is made at $(date --date "@$next" '+%F %R %Z')"
    # In short steps: a clock that was set, or a machine that slept, is noticed.
    while (($(date +%s) < next)); do sleep 20; done
    "$0" make || (($? < 128)) || "$0" killed
  done
}

command=${1-}
shift || true
case $command in
  make) make_backup "$@" ;;
  list)
    open_repository
    restic_ snapshots --no-lock --compact
    ;;
  may-restore) may_restore "$@" ;;
  restore) restore "$@" ;;
  schedule) schedule ;;
  killed)
    write_metrics 137 0
    say "it was killed: no backup was made"
    ;;
  *) fail "which? make, list, may-restore, restore, schedule or killed" 2 ;;
esac
