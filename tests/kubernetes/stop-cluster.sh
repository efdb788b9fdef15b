#!/usr/bin/env bash
# Ends what start-cluster.sh has started, with its pods and its data: tests/kubernetes/stop-cluster.sh FOLDER
set -uo pipefail

folder=$(realpath "${1:?which folder?}")
run=$folder/run
namespace=kubernetes-tests

# The kubelet first: it would start again what ends.
for name in kubelet kube-proxy coredns metrics-server kube-controller-manager kube-scheduler; do
  if [[ -f $run/$name.pid ]]; then kill "$(<"$run/$name.pid")" 2>/dev/null; fi
done
# A pod's processes are children of containerd's shims, which outlive it.
if [[ -d /run/$namespace ]]; then
  pgrep -f "containerd-shim.*$namespace" | while read -r shim; do
    pkill -KILL -P "$shim"
    kill -KILL "$shim"
  done 2>/dev/null
fi
# Of what they hold nothing is kept; without the other, each would wait for a minute.
for name in containerd kube-apiserver etcd; do
  if [[ -f $run/$name.pid ]]; then kill -KILL "$(<"$run/$name.pid")" 2>/dev/null; fi
done
for file in "$run"/*.pid; do
  for ((tries = 0; tries < 100; tries++)); do
    kill -0 "$(<"$file")" || break
    sleep 0.1
  done
  kill -KILL "$(<"$file")"
done 2>/dev/null
grep -E "$run|/run/$namespace" /proc/mounts | cut -d ' ' -f 2 | sort -r | xargs -r umount --lazy
if [[ -e /run/netns/$namespace ]]; then ip netns delete "$namespace"; fi
ip link delete kube-outside 2>/dev/null
rm -rf "$run" "/run/$namespace" "$folder/kubeconfig"
