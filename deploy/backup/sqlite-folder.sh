# shellcheck shell=bash
# shellcheck disable=SC2154 # stage is backup.sh's
# What `make run` keeps: runs and models in SQLite, their files in a folder. Sourced by backup.sh.

query() { sqlite3 -readonly -separator $'\t' "$STACK_HOME/mlflow.db" "$1"; }
tables() { query "SELECT name FROM sqlite_master WHERE type = 'table'"; }

copy_database() {
  rm -f "$stage/mlflow.db"
  sqlite3 "$STACK_HOME/mlflow.db" '.timeout 60000' ".backup '$stage/mlflow.db'" || fail "the database could not be read"
}

# copy_folder FROM TO: MLflow never changes a file, so a second name will do where there can be one.
copy_folder() {
  mkdir -p "$2"
  cp --archive --link --force "$1/." "$2" 2>/dev/null || cp --archive "$1/." "$2" || fail "$2 could not be written"
}

copy_files() {
  rm -rf "$stage/files"
  mkdir -p "$STACK_HOME/artifacts"
  copy_folder "$STACK_HOME/artifacts" "$stage/files"
}

versions() {
  printf '{"mlflow": "%s", "tables": "%s"}\n' \
    "$(.venv/bin/python -c 'import importlib.metadata as m; print(m.version("mlflow"))')" \
    "$(query 'SELECT version_num FROM alembic_version')"
}

is_empty() {
  [[ ! -s $STACK_HOME/mlflow.db ]] ||
    [[ $(query "SELECT (SELECT COUNT(*) FROM runs) + (SELECT COUNT(*) FROM registered_models)") == 0 ]]
}

load_files() { copy_folder "$stage/files" "$STACK_HOME/artifacts"; }

load_database() {
  # While the copy may still fail, as on a full disk, the database that is here stays whole.
  cp "$stage/mlflow.db" "$STACK_HOME/mlflow.db.new" ||
    { rm -f "$STACK_HOME/mlflow.db.new"; fail "the database could not be written"; }
  # What belongs to the other database would be taken for this one's.
  rm -f "$STACK_HOME"/mlflow.db-{wal,shm,journal}
  mv "$STACK_HOME/mlflow.db.new" "$STACK_HOME/mlflow.db"
}

files_here() { (cd "$STACK_HOME/artifacts" && find . -type f | cut -c 3-); }
