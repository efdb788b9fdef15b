#!/usr/bin/env bash
# Puts strong random passwords into .env in place of the development ones: make secrets
#
# Before the first start: a database and an S3 that exist keep what they were made with.
# `deploy/make-secrets.sh FILE` writes another file; --force does it although there are data;
# --team writes the secrets of compose.team.yml too, and leaves those that are strong already.
set -euo pipefail

secrets=(AWS_SECRET_ACCESS_KEY MYSQL_PASSWORD MYSQL_ROOT_PASSWORD GRAFANA_PASSWORD)
of_team=(HOTSERVE_TOKEN MLFLOW_SECRET_KEY MLFLOW_ADMIN_PASSWORD MLFLOW_TRAINER_PASSWORD
  MLFLOW_HOTSERVE_PASSWORD MLFLOW_BATCH_PASSWORD)
weak='(somente-para-desenvolvimento)?' # what .env ships with
file=$(dirname "$0")/../.env
force=no
team=no

fail() {
  printf 'secrets: %s\n' "$*" >&2
  exit 2
}

for argument; do
  case $argument in
    --force) force=yes ;;
    --team) team=yes ;;
    -*) fail "unknown option '$argument'; usage: $0 [--force] [--team] [FILE]" ;;
    *) file=$argument ;;
  esac
done
[[ -f $file ]] || fail "there is no file $file"
weak_ones() { for name; do if grep -qxE "$name=$weak" "$file"; then echo "$name"; fi; done; }
if [[ $team == yes ]]; then
  mapfile -t of_team < <(weak_ones "${of_team[@]}")
  mapfile -t secrets < <(weak_ones "${secrets[@]}")
else
  of_team=()
fi

# The project as Compose finds it: the shell's variable, the file's line, compose.yml's name.
project=${COMPOSE_PROJECT_NAME:-$(sed -n 's/^COMPOSE_PROJECT_NAME=//p' "$file" | tail -n 1 | tr -d "\"'\r ")}
project=${project:-classificador-de-produtos}
if [[ $force == no && ${#secrets[@]} -gt 0 ]]; then
  if docker volume inspect "${project}_db_volume" >/dev/null 2>&1; then
    fail "the stack has data that were made with the passwords in $file: \`docker compose down -v\`" \
      "forgets them, --force writes new passwords all the same"
  fi
  # Those that everybody knows can be written again; a strong one is in this file only.
  if [[ $(weak_ones "${secrets[@]}" | wc -l) != "${#secrets[@]}" ]] && ! docker info >/dev/null 2>&1; then
    fail "no Docker engine answers this user, so nobody knows whether the stack has data that need the passwords" \
      "in $file; --force writes new passwords all the same"
  fi
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
for name in "${secrets[@]}" "${of_team[@]}"; do
  grep -q "^$name=" "$file" || fail "$file has no line $name=…"
  script+=("s/^$name=.*/$name=$(password)/")
done
[[ ${#script[@]} -gt 0 ]] || exit 0
# Not as arguments, which everybody on the machine can read while it runs.
printf '%s\n' "${script[@]}" | sed -f /dev/stdin "$file" >"$new"
# With sudo it stays the file of whom it belongs to.
chown --reference="$file" "$new" 2>/dev/null || true
mv "$new" "$file"
echo "secrets: new passwords in $file: ${secrets[*]} ${of_team[*]}. Do not commit it."
