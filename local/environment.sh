#!/usr/bin/env bash
# Makes .venv, or brings it up to date: ./local/environment.sh run|dev|spark
#
# Hashed requirements only, bytecode compiled while installing: without that the
# first `mlflow server` spends half a minute compiling. A stamp holds the hash of
# what was installed, so that a second call does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:?run, dev or spark}
venv=.venv
run_files=(requirements.txt requirements-local.txt trainer/requirements.txt classificador-produtos/requirements.txt)
case $kind in
  run) files=("${run_files[@]}") ;;
  dev) files=(requirements-dev.txt) ;;
  spark) files=(trainer/requirements-spark.txt) ;; # on top of either
  *) echo "environment.sh: '$kind' is none of run, dev and spark" >&2; exit 2 ;;
esac

packages=$(cat "${files[@]}" | grep '^[a-z].*==' | sort -u | wc -l)

say() { "${PYTHON:-python3}" -m local.environment_says "$@" 2>/dev/null || printf '%s\n' "$*"; }
fail() { printf 'make: %s\n' "$(say "$@")" >&2; exit 2; }
# hotserve asks Linux itself to end what it started.
[[ $(uname -s) == Linux ]] ||
  { echo "make: this needs Linux, and here is $(uname -s): use Docker (docs/compose.md), or on Windows WSL" >&2; exit 2; }

# A line now and then while something works in silence: how many packages are in uv's cache that were not there before.
cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/nowhere}/.cache}/uv}
fetched() { find "$cache/archive-v0" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l; }
count() {
  local before now
  before=$(fetched)
  # Not `sleep`: that would outlive the loop, and hold the lock.
  while ! read -rt 8 _ <> <(:); do
    now=$(($(fetched) - before))
    if ((now == 0)); then say working "$SECONDS"; else say fetched "$now" "$packages" "$SECONDS"; fi
  done
}
counter=
start_counting() { count & counter=$!; }
stop_counting() { if [[ $counter ]]; then kill "$counter" 2>/dev/null || true; fi; counter=; }
trap stop_counting EXIT

find_python() {
  local candidate candidates=(python3.11 python3.12 python3.13 python3) machine
  if [[ -f wheels/made-for ]]; then
    read -r candidate machine <wheels/made-for
    candidates=("$candidate")
    [[ $machine == "$(uname -m)" ]] || fail other-machine "$machine" "$(uname -m)"
  fi
  for candidate in ${PYTHON:+"$PYTHON"} "${candidates[@]}"; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  # Whichever Python is there may tell it, in the language of the terminal.
  PYTHON=$(command -v python3) || { echo "make: ${candidates[*]}: none was found; install one" >&2; exit 2; }
  fail no-python "${candidates[*]}"
}

# Debian and Ubuntu keep `python -m venv` in a package of its own.
ensure_venv_module() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null && return
  local package
  package="$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    say package "$package"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package"; } \
      >/dev/null 2>&1 || fail no-package "$package"
  else
    fail no-venv "$package"
  fi
}

# Where packages go is not for the shell to say: it has these for another Python, which would get them instead.
unset PIP_TARGET PIP_PREFIX PIP_ROOT UV_SYSTEM_PYTHON UV_PYTHON UV_TARGET UV_PREFIX
export PIP_USER=0

# In a bundle (bundle.sh) all packages are there, and nothing is fetched.
[[ ! -d wheels ]] || export PIP_NO_INDEX=1 PIP_FIND_LINKS=wheels UV_OFFLINE=1 UV_NO_INDEX=1 UV_FIND_LINKS=wheels

# A link leads to the environment of another checkout: it is used, and never changed, from here.
[[ -L $venv ]] && exit 0

hash_of() { cat "$@" classificador-produtos/pyproject.toml | sha256sum | cut -d' ' -f1; }
wanted=$(hash_of "${files[@]}")
stamp=$venv/.installed-$kind
# In a folder that was moved or copied, the programs in it still name the Python of the old place.
# shellcheck disable=SC1091
is_at_home() { [[ $(. "$venv/bin/activate" 2>/dev/null && printf %s "$VIRTUAL_ENV") -ef $venv ]]; }
is_made() { [[ -f $stamp && $(<"$stamp") == "$wanted" ]] && is_at_home; }
is_made && exit 0

# Two at the same time would take the ground from under each other. The lock is the folder itself, so that nothing is
# left behind; where folders can't be locked (some network disks), the work is done without.
if command -v flock >/dev/null; then
  exec {lock}<.
  if ! flock --nonblock "$lock" 2>/dev/null; then
    say waiting "$venv" >&2
    flock "$lock" 2>/dev/null || true
    is_made && exit 0
  fi
fi

if [[ ! -x $venv/bin/uv ]] || ! is_at_home; then
  python=$(find_python)
  ensure_venv_module "$python"
  say making "$venv" "$("$python" --version)"
  say uv
  start_counting
  # --clear: one that was cut off half-way is not trusted.
  "$python" -m venv --clear "$venv" || fail not-made "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
    -r requirements-local.txt || fail not-installed uv
  stop_counting
fi

say installing "$packages" "$kind"
arguments=()
for file in "${files[@]}"; do arguments+=(-r "$file"); done

SECONDS=0
quiet=()
# Where a terminal is, uv's own bars count.
[[ -t 2 ]] || { quiet=(--quiet); start_counting; }
VIRTUAL_ENV=$PWD/$venv "$venv/bin/uv" pip install "${quiet[@]}" --require-hashes --compile-bytecode "${arguments[@]}" \
  || fail not-installed "${files[*]}"
stop_counting
VIRTUAL_ENV=$PWD/$venv "$venv/bin/uv" pip install --quiet --no-deps --no-build-isolation --editable classificador-produtos \
  || fail not-installed hotserve
say installed "$packages" "$SECONDS"
printf '%s\n' "$wanted" >"$stamp"
# What is there for development holds everything: `make run` has nothing to do then, least of all beside tests, which
# would find hotserve gone for a moment.
if [[ $kind == dev ]]; then hash_of "${run_files[@]}" >"$venv/.installed-run"; fi
