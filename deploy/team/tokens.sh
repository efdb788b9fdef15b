#!/bin/sh
# Keeps the API's named tokens, "NAME TOKEN" a line: `make token`, `make tokens`, and for a student's
# model "NAME TOKEN models:/MODEL": `make class`. Runs in the service `tokens`, where the file is;
# the API reads it again within two seconds.
set -eu

file=/var/lib/hotserve/tokens
umask 077

fail() {
  echo "token: $*" >&2
  exit 2
}

# One at a time: of two, the later one would write back what it read before the other's change.
exec 9>"$file.lock"
flock 9

# replace: what comes in is the file from now on, whole.
replace() {
  cat >"$file.new"
  mv "$file.new" "$file"
}

new_token() { head -c 96 /dev/urandom | base64 | tr -d '/+=\n' | cut -c 1-40; }

case ${1-} in
first)
  [ -s "$file" ] || echo "first $HOTSERVE_TOKEN" | replace
  exit 0
  ;;
list)
  cut -d ' ' -f 1 "$file"
  exit 0
  ;;
class)
  # The sheets of a class, with {token|MODEL|what to say to who has one} in them.
  while IFS= read -r line; do
    case $line in
    *'{token|'*)
      mark=${line#*'{token|'}
      mark=${mark%%'}'*}
      model=${mark%%'|'*} token=${mark#*'|'}
      if ! grep -q " models:/$model\$" "$file"; then
        token=$(new_token)
        { cat "$file" && printf '%.30s %s models:/%s\n' "$model" "$token" "$model"; } | replace
      fi
      line=${line%%'{token|'*}$token${line#*"$mark}"}
      ;;
    esac
    printf '%s\n' "$line"
  done
  exit 0
  ;;
esac

name=${2-}
expr "$name" : '[A-Za-z0-9][A-Za-z0-9._@-]\{0,29\}$' >/dev/null ||
  fail "NAME must be 30 letters, digits and . _ @ - at most: make token NAME=ana"
line="^$(printf '%s' "$name" | sed 's/\./[.]/g') "
known=no
if grep -q "$line" "$file"; then known=yes; fi

case $1 in
add)
  [ $known = no ] || fail "$name has a token already; make token NAME=$name REMOVE=yes takes it away"
  token=$(new_token)
  { cat "$file" && echo "$name $token"; } | replace
  echo "$token"
  ;;
remove)
  [ $known = yes ] || fail "nobody called $name has a token; make tokens lists them"
  [ "$(wc -l <"$file")" -gt 1 ] || fail "$name's token is the last one; make another first"
  shown=$(grep "$line" "$file" | cut -d ' ' -f 2)
  grep -v "$line" "$file" | replace
  echo "$name's token is taken away"
  [ "$shown" != "$HOTSERVE_TOKEN" ] || echo "It was HOTSERVE_TOKEN in .env, which Prometheus shows: write another" \
    "there, and then: docker compose up --detach"
  ;;
*) fail "first, list, class, add NAME or remove NAME" ;;
esac
