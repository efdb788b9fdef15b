#!/usr/bin/env bash
# Builds what a one-node cluster needs from source: tests/kubernetes/build-cluster.sh FOLDER
#
# Kubernetes' own programs, etcd and CoreDNS, by Go from the Go module proxy, into FOLDER/bin. Nothing
# is done for those that are there.
set -euo pipefail

kubernetes=1.37.2
etcd=3.7.3
coredns=1.15.0
programs=(kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet)

folder=$(realpath -m "${1:?which folder?}")
mkdir -p "$folder/bin" "$folder/source"
cd "$folder/source"

say() { printf 'cluster: %s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 2
}
command -v go >/dev/null || fail "Go is missing; Debian has it as golang"

# build PACKAGE NAME [FLAG…]: unless it is there.
build() {
  local package=$1 name=$2
  shift 2
  [[ ! -x $folder/bin/$name ]] || return 0
  say "building $name"
  CGO_ENABLED=0 GOFLAGS=-mod=mod go build -trimpath -o "$folder/bin/$name.new" "$@" "$package" \
    >"$folder/source/$name.log" 2>&1 || {
    tail -n 5 "$folder/source/$name.log" >&2
    fail "go could not build $package; its log: $folder/source/$name.log"
  }
  mv "$folder/bin/$name.new" "$folder/bin/$name"
}

# Kubernetes requires its own libraries at v0.0.0 and says where they are only in its repository.
module_of_kubernetes() {
  local described library
  go mod edit -go=1.26 -require="k8s.io/kubernetes@v$kubernetes"
  described=$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  while read -r library; do
    go mod edit -replace="$library=$library@v0${kubernetes#1}"
  done < <(sed -n 's/^[[:space:]]*\(k8s\.io\/[^ ]*\) v0\.0\.0$/\1/p' "$described")
}

(
  mkdir -p kubernetes && cd kubernetes
  [[ -f go.mod ]] || { go mod init kubernetes 2>/dev/null && module_of_kubernetes; }
  version=-X=k8s.io/component-base/version.gitVersion=v$kubernetes
  for name in "${programs[@]}"; do build "k8s.io/kubernetes/cmd/$name" "$name" -ldflags "-s -w $version"; done
)

# build_module NAME PACKAGE VERSION: a program that is a module's own.
build_module() (
  mkdir -p "$1" && cd "$1"
  [[ -f go.mod ]] || { go mod init "build-$1" 2>/dev/null && go mod edit -require="$2@v$3"; }
  build "$2" "$1" -ldflags "-s -w"
)
build_module etcd go.etcd.io/etcd/server/v3 "$etcd"
build_module coredns github.com/coredns/coredns "$coredns"

# What keeps a pod's namespaces: it does nothing until it is told to end.
(
  mkdir -p pause && cd pause
  cat >main.go <<'GO'
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM)
	<-told
}
GO
  [[ -f go.mod ]] || go mod init pause 2>/dev/null
  build . pause -ldflags "-s -w"
)
