# shellcheck shell=bash
# Shared by the scripts that take software from Debian's packages; to be sourced.

DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Runs a command whose chatter is of interest only when it fails.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

# The Debian mirror that this machine's own apt uses.
debian_mirror() {
  local mirror tries
  for tries in first second; do
    # shellcheck disable=SC2016 # $(REPO_URI) is for apt, not for the shell
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Label: Debian' | sort -u | head -n 1)
    [[ -z $mirror ]] || break
    # A new machine may not have read its lists yet.
    [[ $tries == second ]] || quietly apt-get update || return 1
  done
  [[ -n $mirror ]] || {
    echo "no Debian mirror stands in this machine's apt sources" >&2
    return 1
  }
  echo "${mirror%/}"
}

# debian_root FOLDER SUITE PACKAGE...: a minimal Debian with the packages, signatures checked.
debian_root() {
  local folder=$1 suite=$2 mirror
  shift 2
  mirror=$(debian_mirror) || return 1
  local include
  include=$(IFS=,; echo "$*")
  quietly debootstrap --variant=minbase --keyring="$DEBIAN_KEYRING" --include="$include" \
    "$suite" "$folder" "$mirror" || return 1
  # Neither the mirror, which is this machine's business, nor what apt and the manuals leave.
  rm -rf "${folder:?}"/etc/apt/sources.list* "${folder:?}"/var/lib/apt/lists/* \
    "${folder:?}"/var/cache/apt/* "${folder:?}"/var/cache/debconf/*-old "${folder:?}"/var/log/* \
    "${folder:?}"/usr/share/{doc,man,info,locale,lintian} "${folder:?}"/tmp/* \
    "${folder:?}"/etc/resolv.conf "${folder:?}"/etc/hostname
}
