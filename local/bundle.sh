#!/usr/bin/env bash
# Packs all that `make run` needs into one file, for a room without internet: ./local/bundle.sh FILE
#
# The repository as of its last commit, with its history, and in wheels/ the packages, for the Python of .venv on this
# kind of machine. IMAGES=yes adds the images of the stack in containers. docs/offline.md says how it is used.
set -euo pipefail

file=$(realpath --canonicalize-missing "${1:?the file to write}")
cd "$(dirname "$0")/.."

say() { printf 'make bundle: %s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 2
}
# setting NAME: as Compose sees it.
setting() {
  local files=${COMPOSE_ENV_FILES:-.env}
  # shellcheck disable=SC2086 # a list with commas
  echo "${!1-$(sed -n "s/^$1=//p" ${files//,/ } | tail -n 1 | tr -d "\"'\r")}"
}

[[ $(git rev-parse --show-toplevel 2>/dev/null) -ef . ]] || fail "this folder is no clone of the project's repository: make it in one"
[[ -d ${file%/*} && -w ${file%/*} ]] || fail "${file%/*} is no folder that can be written to: BUNDLE=/a/folder/of/yours/bundle.tar"
[[ -z $(git status --porcelain --untracked-files=no) ]] || say "what was changed since the last commit is left out"
if [[ ${IMAGES-} == yes ]]; then
  docker info >/dev/null 2>&1 || fail "no Docker engine answers: leave IMAGES=yes out, or start it"
fi

# Beside the file: there has to be room anyway.
work=$(mktemp -d "$file.XXXXXX")
trap 'rm -rf "$work"' EXIT
folder=$work/classificador-de-produtos
git clone --quiet --no-hardlinks --single-branch . "$folder"
# A path of this machine.
git -C "$folder" remote remove origin

# The lists that environment.sh installs from.
requirements=()
for list in requirements.txt requirements-local.txt trainer/requirements.txt classificador-produtos/requirements.txt; do
  requirements+=(-r "$list")
done
say "fetching the packages"
.venv/bin/python -m pip download --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
  --dest "$folder/wheels" "${requirements[@]}" || fail "not all packages could be had; see the lines above"
.venv/bin/python -c 'import platform, sys; print("python%d.%d" % sys.version_info[:2], platform.machine())' \
  >"$folder/wheels/made-for"

if [[ ${IMAGES-} == yes ]]; then
  say "building and saving the images"
  docker compose pull --quiet --ignore-buildable --policy missing || fail "they could not be had; see the lines above"
  docker compose build --quiet || fail "they could not be built; see the lines above"
  mapfile -t images < <(docker compose config --images | sort --unique)
  # What is named by its digest would have no name after `docker load`.
  for image in "${images[@]}"; do
    if [[ $image == *@* ]]; then docker tag "$image" "${image%@*}"; fi
  done
  docker save "${images[@]%@*}" | gzip --fast >"$folder/images.tar.gz"
  {
    printf '\n# What the images in images.tar.gz are called.\n'
    for name in IMAGE_PREFIX IMAGE_TAG $(sed -n 's/^\([A-Z_]*_IMAGE\)=.*/\1/p' .env | sort --unique); do
      value=$(setting "$name")
      if [[ $name == IMAGE_* || " ${images[*]} " == *" $value "* ]]; then printf '%s=%s\n' "$name" "${value%@*}"; fi
    done
  } >>"$folder/.env"
fi

tar --create --file "$work/bundle.tar" --directory "$work" classificador-de-produtos
mv "$work/bundle.tar" "$file"
say "$file: $(($(stat --format %s "$file") / 1000000)) MB, for $(<"$folder/wheels/made-for")"
