#!/usr/bin/env bash
# Builds what a one-node cluster needs from source: tests/kubernetes/build-cluster.sh FOLDER [metrics-server]
#
# Kubernetes' own programs, etcd and CoreDNS, by Go from the Go module proxy, into FOLDER/bin; or what
# tells an autoscaler how much of a processor pods take. Nothing is done for those that are there.
set -euo pipefail

kubernetes=1.37.2
etcd=3.7.3
coredns=1.15.0
metrics_server=0.9.0

folder=$(realpath -m "${1:?which folder?}")
packages=(k8s.io/kubernetes/cmd/kube{-apiserver,-controller-manager,-scheduler,-proxy,let} ./{etcd,coredns,pause})
[[ ${2-} != metrics-server ]] || packages=(sigs.k8s.io/metrics-server/cmd/metrics-server)

say() { printf 'cluster: %s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 2
}

missing=()
for package in "${packages[@]}"; do
  [[ -x $folder/bin/${package##*/} ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0
command -v go >/dev/null || fail "Go is missing; Debian has it as golang"
mkdir -p "$folder"/{bin,source/{etcd,coredns,pause}}
cd "$folder/source"

# One module for all, so that what they share is compiled once. Kubernetes requires its own libraries
# at v0.0.0, and says where they are only in its repository.
write_module() {
  local described library
  rm -f go.mod
  go mod init cluster
  go mod edit -go=1.26 -require="k8s.io/kubernetes@v$kubernetes" \
    -require="go.etcd.io/etcd/server/v3@v$etcd" -require="github.com/coredns/coredns@v$coredns"
  [[ ${1-} != metrics-server ]] || go mod edit -require="sigs.k8s.io/metrics-server@v$metrics_server"
  described=$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  while read -r library; do
    go mod edit -replace="$library=$library@v0${kubernetes#1}"
  done < <(sed -n 's/^[[:space:]]*\(k8s\.io\/[^ ]*\) v0\.0\.0$/\1/p' "$described")
}

cat >etcd/main.go <<'GO'
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
GO

# Of CoreDNS' plugins those that are asked for; all of them are the libraries of three clouds, too.
cat >coredns/main.go <<'GO'
package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	coremain.Run()
}
GO

# What keeps a pod's namespaces: it does nothing until it is told to end.
cat >pause/main.go <<'GO'
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

# Where a download breaks off, another try goes on with what there is.
said=$folder/source/build.log
say "building ${missing[*]##*/}"
for try in 1 2 3; do
  if { write_module "${2-}" && CGO_ENABLED=0 GOFLAGS=-mod=mod go build -trimpath -o "$folder/new/" \
    -ldflags "-s -w -X=k8s.io/component-base/version.gitVersion=v$kubernetes" "${missing[@]}"; } >"$said" 2>&1; then
    mv "$folder/new/"* "$folder/bin/"
    exit 0
  fi
  say "try $try: $(tail -n 5 "$said")"
done
fail "go could not build it; its log: $said"
