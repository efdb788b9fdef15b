#!/usr/bin/env bash
# Waits until every host:port accepts a TCP connection, then becomes the command.
#
# The options mean what they mean in the well-known script of this name. Works
# with the bash 3.2 of macOS, and needs nothing but bash, sleep and env.
set -uo pipefail

name=${0##*/}

usage() {
  cat <<TEXT
usage: $name host:port [host:port ...] [-t seconds] [-q] [-s] [-- command [argument ...]]

  -t, --timeout SECONDS   wait at most this long for all of them (default 15, 0 waits for ever)
  -q, --quiet             say nothing
  -s, --strict            after a time-out do not run the command
      --help              show this

Exit code: the command's; without one 0. After a time-out 124, if there is no
command or with -s. 2 if the line itself is wrong, 127 if the command is not found.
TEXT
}

bad_usage() {
  printf '%s: %s\n' "$name" "$*" >&2
  printf 'usage: %s host:port [host:port ...] [-t seconds] [-q] [-s] [-- command]\n' "$name" >&2
  exit 2
}

say() {
  if [[ $quiet == no ]]; then printf '%s: %s\n' "$name" "$*" >&2; fi
}

# 'name:80', '127.0.0.1:80', '[::1]:80' -> the two words in $host and $port.
split_address() {
  if [[ $1 =~ ^\[([0-9A-Fa-f:.%a-z]+)\]:([0-9]{1,5})$ || $1 =~ ^([A-Za-z0-9._-]+):([0-9]{1,5})$ ]]; then
    host=${BASH_REMATCH[1]}
    port=$((10#${BASH_REMATCH[2]}))
    ((port >= 1 && port <= 65535))
  else
    return 1
  fi
}

# One try. A packet that a firewall drops, or a container that has just gone,
# leaves connect() hanging for minutes: so it runs beside us and has two seconds.
answers() {
  local tenths=0 pid status
  (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    if ((tenths >= 20)); then kill "$pid" 2>/dev/null; fi
    sleep 0.1
    tenths=$((tenths + 1))
  done
  wait "$pid" 2>/dev/null
  status=$?
  return "$status"
}

quiet=no
strict=no
timeout=15
addresses=()
command=()

while (($# > 0)); do
  case $1 in
    --help)
      usage
      exit 0
      ;;
    -q | --quiet) quiet=yes ;;
    -s | --strict) strict=yes ;;
    -t | --timeout)
      (($# >= 2)) || bad_usage "$1 needs a number of seconds"
      timeout=$2
      shift
      ;;
    --timeout=*) timeout=${1#*=} ;;
    --)
      shift
      (($# > 0)) || bad_usage "there is no command after --"
      command=("$@")
      break
      ;;
    -*) bad_usage "unknown option '$1'" ;;
    *)
      split_address "$1" || bad_usage "'$1' is not host:port, with a port from 1 to 65535"
      addresses+=("$1")
      ;;
  esac
  shift
done

((${#addresses[@]} > 0)) || bad_usage "which host:port to wait for?"
[[ $timeout =~ ^[0-9]{1,9}$ ]] || bad_usage "-t '$timeout' is not a whole number of seconds"
timeout=$((10#$timeout))

if ((${#command[@]} > 0)) && ! type -P -- "${command[0]}" >/dev/null; then
  printf '%s: command not found: %s\n' "$name" "${command[0]}" >&2
  exit 127
fi

# As process 1 of a container a signal without a handler would be ignored.
trap 'exit 143' TERM
trap 'exit 130' INT

limit="at most $timeout s"
((timeout > 0)) || limit="for ever"
say "waiting for ${addresses[*]} ($limit)"

SECONDS=0 # an exported one would count on from its value
waiting=("${addresses[@]}")
while :; do
  still=()
  for address in "${waiting[@]}"; do
    split_address "$address"
    if answers "$host" "$port"; then
      say "$address answered after $SECONDS s"
    else
      still+=("$address")
    fi
  done
  ((${#still[@]} > 0)) || break
  waiting=("${still[@]}")

  # SECONDS counts whole seconds: only above the limit have they surely passed.
  if ((timeout > 0 && SECONDS > timeout)); then
    say "time-out: no answer from ${waiting[*]} in $timeout s"
    if ((${#command[@]} == 0)) || [[ $strict == yes ]]; then exit 124; fi
    say "running the command all the same (-s would not)"
    break
  fi
  sleep 0.2
done

((${#command[@]} > 0)) || exit 0
exec "${command[@]}"
