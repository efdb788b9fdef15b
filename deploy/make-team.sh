#!/usr/bin/env bash
# Makes a team's stack of this one, with logins and TLS: make team PUBLIC_HOST=mlflow.example.org
#
# Writes into .env what compose.team.yml needs, and into COMPOSE_FILE its name; what is there
# already stays. `deploy/make-team.sh FILE` writes another file.
set -euo pipefail

folder=$(dirname "$0")
file=${1:-$folder/../.env}

fail() {
  printf 'team: %s\n' "$*" >&2
  exit 2
}

value() { sed -n "s/^$1=//p" "$file" | tail -n 1 | tr -d "\"'\r"; }

# set_value NAME VALUE: in its line, or in a new one at the end.
set_value() {
  if grep -q "^$1=" "$file"; then
    sed -i "s|^$1=.*|$1=$2|" "$file"
  else
    printf '%s=%s\n' "$1" "$2" >>"$file"
  fi
}

[[ -f $file ]] || fail "there is no file $file"
host=${PUBLIC_HOST:-$(value PUBLIC_HOST)}
if [[ -z $host && -t 0 ]]; then
  read -r -p "The name or IP address that people reach this machine by: " host
fi
[[ -n $host ]] || fail "which name do people reach this machine by? make team PUBLIC_HOST=mlflow.example.org"
[[ $host =~ ^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$ ]] ||
  fail "PUBLIC_HOST=$host: must be a host's name or its IPv4 address, without a port"
host=${host,,} # as browsers send it, and MLflow compares it
tls=${TLS:-$(value TLS)}
[[ $tls =~ ^[^\|\&\']+$ ]] || fail "TLS=$tls: must be internal, an e-mail address, or two files' paths"

"$folder/make-secrets.sh" --team "$file"
set_value PUBLIC_HOST "$host"
set_value TLS "'$tls'"
files=$(value COMPOSE_FILE)
if [[ -z $files ]]; then
  files=compose.yml
  # Compose adds it by itself only where nothing is named.
  [[ ! -f $(dirname "$file")/compose.override.yml ]] || files+=:compose.override.yml
fi
wanted=(compose.team.yml)
if [[ $tls == *@* ]]; then wanted+=(compose.acme.yml); fi
for one in "${wanted[@]}"; do
  if [[ :$files: != *:$one:* ]]; then files=$files:$one; fi
done
# Where its comment is: at the end a newer .env and this one would differ in the same place.
grep -q '^COMPOSE_FILE=' "$file" || sed -i 's|^# COMPOSE_FILE=.*|&\nCOMPOSE_FILE=|' "$file"
set_value COMPOSE_FILE "$files"
chmod 600 "$file" # git, for one, writes it for everybody to read
if [[ $host != localhost && $(value BIND_ADDRESS) == 127.0.0.1 ]]; then set_value BIND_ADDRESS 0.0.0.0; fi

cat <<END
team: after \`docker compose up --build --detach\` these answer:
  MLflow   https://$host:$(value MLFLOW_PORT)   user admin, password $(value MLFLOW_ADMIN_PASSWORD)
  the API  https://$host:$(value SERVE_PORT)   token $(value HOTSERVE_TOKEN)
\`make user NAME=ana ROLE=scientist\` makes an account, \`make certificate\` writes root.crt for browsers and
clients; see docs/team.md.
END
