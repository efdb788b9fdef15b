#!/usr/bin/env bash
# What the tests need from the system: Chromium for the browser tests, shellcheck for the
# shell scripts, restic, sqlite3 and sshd for backups, Prometheus and Alertmanager for the monitoring,
# a C compiler for clocks that are moved. With `java` only what Spark needs.
# On Debian and Ubuntu as root it installs them; elsewhere it says what is missing, and the tests
# that need it say that they were skipped.
set -euo pipefail

missing=()
programs=()
if [[ ${1:-} == java ]]; then
  [[ ${JAVA_HOME:-} ]] || command -v java >/dev/null || missing+=(default-jre-headless)
else
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
    command -v google-chrome >/dev/null || missing+=(chromium)
  command -v shellcheck >/dev/null || missing+=(shellcheck)
  command -v restic >/dev/null || missing+=(restic)
  command -v sqlite3 >/dev/null || missing+=(sqlite3)
  command -v gcc >/dev/null || missing+=(gcc libc6-dev)
  PATH=$PATH:/usr/sbin command -v sshd >/dev/null || { missing+=(openssh-client libwrap0) && programs+=(openssh-server); }
  command -v promtool >/dev/null || programs+=(prometheus)
  command -v amtool >/dev/null || programs+=(prometheus-alertmanager)
fi
((${#missing[@]} + ${#programs[@]})) || exit 0

if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "not installed: ${missing[*]} ${programs[*]}; the tests that need them will be skipped"
  exit 0
fi

# Installed as packages, these would be services that start at once; only the programs are wanted.
unpack() {
  local folder package more
  folder=$(mktemp -d)
  chmod 755 "$folder"
  cd "$folder"
  apt-get download "$@"
  for package in *.deb; do dpkg-deb -x "$package" root; done
  install root/usr/*bin/* /usr/local/bin
  # Alertmanager's own words for a mail, and sshd's other programs, which they look for there.
  for more in usr/share/prometheus usr/lib/openssh; do
    [[ ! -d root/$more ]] || cp --recursive "root/$more" "/${more%/*}"
  done
  # sshd wants a user who may do nothing.
  getent passwd sshd >/dev/null || useradd --system --home-dir /run/sshd --shell /usr/sbin/nologin sshd
  rm -rf "$folder"
}

install_all() {
  apt-get update
  if ((${#missing[@]})); then apt-get install -y --no-install-recommends "${missing[@]}"; fi
  if ((${#programs[@]})); then (unpack "${programs[@]}"); fi
}

echo "installing ${missing[*]} ${programs[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# In a shell of its own: behind || in this one, set -e would not count inside.
(install_all) >"$log" 2>&1 &
if ! wait $!; then
  tail -n 5 "$log" >&2
  echo "make test: apt-get could not install ${missing[*]} ${programs[*]}; its log: $log" >&2
  exit 2
fi
rm -f "$log"
