# shellcheck shell=bash
# shellcheck disable=SC2154 # stage is backup.sh's
# The stack in containers: runs and models in MySQL, their files in a bucket. Sourced by backup.sh.

options=$(mktemp)
printf '[client]\nhost="%s"\nport=%s\nuser="%s"\npassword="%s"\n' \
  "$MYSQL_HOST" "$MYSQL_PORT" "${MYSQL_USER//\\/\\\\}" "${MYSQL_PASSWORD//\\/\\\\}" >"$options"

# Stands in the database until all is what it was: MLflow waits as long, see server/with_mysql.py.
MARK=unfinished_restore

mysql_() { mysql --defaults-extra-file="$options" --default-character-set=utf8mb4 --batch --skip-column-names "$MYSQL_DATABASE" "$@"; }
query() { mysql_ --execute "$1"; }
tables() { query "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"; }

# The settings of the remote `bucket:` are RCLONE_CONFIG_BUCKET_*.
rclone_() { rclone --config "" --s3-no-check-bucket "$@"; }

copy_database() {
  ! tables | grep -x "$MARK" >/dev/null || fail "a restore was cut off: restore again before a backup is made"
  mysqldump --defaults-extra-file="$options" --default-character-set=utf8mb4 --single-transaction \
    --no-tablespaces "$MYSQL_DATABASE" >"$stage/mlflow.sql" || fail "the database could not be read"
}

# What compose.team.yml adds, if anything: its users, the API's tokens, Caddy's authority.
TEAM=/var/lib/team

copy_files() {
  # By size and S3's own time of each object: what is here already costs a line in a list.
  mkdir -p "$stage/files"
  rclone_ sync --use-server-modtime --fast-list "bucket:$AWS_BUCKET_NAME" "$stage/files" || fail "the bucket could not be read"
  rm -rf "$stage/team"
  cp --recursive --preserve=mode "$TEAM" "$stage/team"
  rm -f "$stage"/team/users/*
  # While MLflow writes it, a plain copy might be half of one and half of another.
  [[ ! -f $TEAM/users/users.db ]] || sqlite3 "$TEAM/users/users.db" ".backup '$stage/team/users/users.db'"
}

versions() {
  printf '{"mlflow": "%s", "tables": "%s", "mysql": "%s", "images": "%s"}\n' \
    "$(curl --silent --max-time 10 http://mlflow:5000/version || true)" "$(query 'SELECT version_num FROM alembic_version')" \
    "$(query 'SELECT VERSION()')" "$BACKUP_IMAGES"
}

# A start that nobody has used yet counts as empty, and so does a restore that was cut off.
is_empty() {
  local names
  names=$(tables) || fail "the database does not answer"
  ! grep -qx "$MARK" <<<"$names" || return 0
  ! grep -qx runs <<<"$names" ||
    [[ $(query "SELECT (SELECT COUNT(*) FROM runs) + (SELECT COUNT(*) FROM registered_models)") == 0 ]]
}

load_files() {
  rclone_ copy --fast-list "$stage/files" "bucket:$AWS_BUCKET_NAME" || fail "the bucket could not be written"
  local part
  rm -f "$TEAM"/users/users.db-*
  for part in users tokens caddy; do
    # Files alone: folders that are there may be the image's, and nobody else may change those.
    (cd "$stage/team/$part" && find . -type f -print0 | tar --create --null --files-from -) |
      (umask 077 && tar --extract --directory "$TEAM/$part") ||
      fail "the team's $part could not be written"
  done
}

load_database() {
  local old
  old=$(tables) || fail "the database does not answer"
  tail -n 1 "$stage/mlflow.sql" | grep '^-- Dump completed' >/dev/null || fail "this backup's database is cut off"
  {
    echo "CREATE TABLE IF NOT EXISTS $MARK (nothing INT); SET FOREIGN_KEY_CHECKS = 0;"
    # shellcheck disable=SC2016 # the backquotes are MySQL's
    sed "/^$MARK\$/d"'; /./s/.*/DROP TABLE IF EXISTS `&`;/' <<<"$old"
    # Triggers belong to whoever restores: the user may have another name here.
    sed '/^\/\*!50003 CREATE\*\//s/ \/\*!50017 DEFINER=[^*]*\*\///' "$stage/mlflow.sql"
    echo "DROP TABLE $MARK;"
  } | mysql_ || fail "the database could not be written"
}

files_here() { rclone_ lsf --recursive --files-only --fast-list "bucket:$AWS_BUCKET_NAME"; }
