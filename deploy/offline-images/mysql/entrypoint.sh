#!/bin/bash
# Makes the database on the first start, as MYSQL_ROOT_PASSWORD, MYSQL_DATABASE, MYSQL_USER
# and MYSQL_PASSWORD say, then becomes mysqld. A password can be the name of a file instead:
# MYSQL_ROOT_PASSWORD_FILE, MYSQL_PASSWORD_FILE.
set -euo pipefail

data=/var/lib/mysql
unfinished=$data/.being-made

say() { printf 'mysql entrypoint: %s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 1
}

# from_file NAME: what the file says that NAME_FILE names, without line ends, is NAME.
from_file() {
  local file=$1_FILE
  [[ -z ${!file:-} ]] || printf -v "$1" %s "$(<"${!file}")"
}

# A text as an SQL string.
quoted() {
  local text=${1//\\/\\\\}
  printf "'%s'" "${text//\'/\'\'}"
}

first_start_sql() {
  local root user
  root=$(quoted "$MYSQL_ROOT_PASSWORD")
  echo "ALTER USER 'root'@'localhost' IDENTIFIED BY $root;"
  echo "CREATE USER 'root'@'%' IDENTIFIED BY $root;"
  echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
  [[ -z ${MYSQL_DATABASE:-} ]] || echo "CREATE DATABASE \`${MYSQL_DATABASE//\`/\`\`}\`;"
  [[ -n ${MYSQL_USER:-} ]] || return 0
  user=$(quoted "$MYSQL_USER")
  echo "CREATE USER $user@'%' IDENTIFIED BY $(quoted "${MYSQL_PASSWORD:-}");"
  [[ -z ${MYSQL_DATABASE:-} ]] || echo "GRANT ALL ON \`${MYSQL_DATABASE//\`/\`\`}\`.* TO $user@'%';"
}

make_database() {
  from_file MYSQL_ROOT_PASSWORD
  from_file MYSQL_PASSWORD
  [[ -n ${MYSQL_ROOT_PASSWORD:-} ]] || fail "MYSQL_ROOT_PASSWORD must be set to make a new database"
  say "making the database in $data"
  touch "$unfinished"
  mysqld --initialize-insecure --log-error-verbosity=1
  mysqld --skip-networking --skip-log-bin --log-error-verbosity=1 &
  local server=$!
  until mysqladmin --user=root ping >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || fail "mysqld did not start on the new database"
    sleep 0.1
  done
  first_start_sql | mysql --user=root
  MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysqladmin --user=root shutdown
  wait "$server"
  rm "$unfinished"
}

if [[ ${1:-} == -* ]]; then set -- mysqld "$@"; fi
if [[ ${1:-} == mysqld ]]; then
  if [[ -e $unfinished ]]; then
    say "the last start was cut off while making the database: making it again"
    find "$data" -mindepth 1 -delete
  fi
  [[ -d $data/mysql ]] || make_database
fi
exec "$@"
