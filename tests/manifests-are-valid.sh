#!/usr/bin/env bash
# Holds what deploy/kubernetes makes against Kubernetes' schemas: tests/manifests-are-valid.sh
#
# No cluster is asked. A ServiceMonitor is the Prometheus operator's, so it is not known here.
set -euo pipefail
cd "$(dirname "$0")/.."

for overlay in deploy/kubernetes/overlays/*; do
  manifests=$(mktemp --suffix .yaml)
  trap 'rm -f "$manifests"' EXIT
  .venv/bin/kubectl kustomize "$overlay" >"$manifests"
  .venv/bin/kubernetes-validate --strict --quiet --no-warn "$manifests" ||
    { echo "$overlay: see above" >&2 && exit 1; }
done
