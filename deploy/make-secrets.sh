#!/usr/bin/env bash
# Puts strong random passwords into .env in place of the development ones: make secrets
#
# Before the first start: a database and an S3 that exist keep what they were made with.
# `deploy/make-secrets.sh FILE` writes another file; --force does it although there are data.
set -euo pipefail

secrets=(AWS_SECRET_ACCESS_KEY MYSQL_PASSWORD MYSQL_ROOT_PASSWORD)
file=$(dirname "$0")/../.env
force=no

fail() {
  printf 'secrets: %s\n' "$*" >&2
  exit 2
}

for argument; do
  case $argument in
    --force) force=yes ;;
    -*) fail "unknown option '$argument'; usage: $0 [--force] [FILE]" ;;
    *) file=$argument ;;
  esac
done
[[ -f $file ]] || fail "there is no file $file"

# The project as Compose finds it: the shell's variable, the file's line, compose.yml's name.
project=${COMPOSE_PROJECT_NAME:-$(sed -n 's/^COMPOSE_PROJECT_NAME=//p' "$file" | tail -n 1 | tr -d "\"'\r ")}
project=${project:-classificador-de-produtos}
if [[ $force == no ]] && docker volume inspect "${project}_db_volume" >/dev/null 2>&1; then
  fail "the stack has data that were made with the passwords in $file: \`docker compose down -v\`" \
    "forgets them, --force writes new passwords all the same"
fi

# 32 letters and digits: about 190 bits, and nothing that a URL or a shell would change.
password() {
  local text
  text=$(head -c 96 /dev/urandom | base64 | tr -d '/+=\n')
  printf '%s' "${text:0:32}"
}

umask 077
new=$(mktemp "$file.XXXXXX")
trap 'rm -f "$new"' EXIT
script=()
for name in "${secrets[@]}"; do
  grep -q "^$name=" "$file" || fail "$file has no line $name=…"
  script+=(-e "s/^$name=.*/$name=$(password)/")
done
sed "${script[@]}" "$file" >"$new"
mv "$new" "$file"
echo "secrets: new passwords in $file: ${secrets[*]}. Do not commit it."
