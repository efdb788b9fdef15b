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

fail() { printf 'make: %s\n' "$*" >&2; exit 2; }

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "no Python 3.11, 3.12 or 3.13 was found; install one, or name it: make run PYTHON=/path/to/python3.11"
}

# Debian and Ubuntu keep `python -m venv` in a package of its own.
ensure_venv_module() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null && return
  local package
  package="$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "installing $package"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package"; } \
      >/dev/null 2>&1 || fail "apt-get could not install $package; install it and start again"
  else
    fail "this Python has no venv module; install it first: sudo apt-get install $package"
  fi
}

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
    echo "waiting for another make, which may be making the environment in $venv" >&2
    flock "$lock" 2>/dev/null || true
    is_made && exit 0
  fi
fi

if [[ ! -x $venv/bin/uv ]] || ! is_at_home; then
  python=$(find_python)
  ensure_venv_module "$python"
  echo "making the environment in $venv with $("$python" --version)"
  # --clear: one that was cut off half-way is not trusted.
  "$python" -m venv --clear "$venv" || fail "could not make $venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
    -r requirements-local.txt || fail "could not install uv; see the lines above"
fi

echo "installing $(cat "${files[@]}" | grep '^[a-z].*==' | sort -u | wc -l) pinned packages ($kind)"
arguments=()
for file in "${files[@]}"; do arguments+=(-r "$file"); done
VIRTUAL_ENV=$PWD/$venv "$venv/bin/uv" pip install --quiet --require-hashes --compile-bytecode "${arguments[@]}" \
  || fail "could not install the requirements; see the lines above"
[[ $kind == spark ]] ||
  VIRTUAL_ENV=$PWD/$venv "$venv/bin/uv" pip install --quiet --no-deps --no-build-isolation --editable classificador-produtos \
  || fail "could not install hotserve; see the lines above"
printf '%s\n' "$wanted" >"$stamp"
# What is there for development holds everything: `make run` has nothing to do then, least of all beside tests, which
# would find hotserve gone for a moment.
if [[ $kind == dev ]]; then hash_of "${run_files[@]}" >"$venv/.installed-run"; fi
