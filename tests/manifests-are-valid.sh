#!/usr/bin/env bash
# Holds what deploy/kubernetes makes against Kubernetes' schemas: tests/manifests-are-valid.sh
#
# No cluster is asked. A ServiceMonitor is the Prometheus operator's, so it is not known here.
set -euo pipefail
cd "$(dirname "$0")/../deploy/kubernetes"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
from_there() { realpath --relative-to "$work" "$1"; }

# What may be added, to one of them.
printf 'resources: [%s]\ncomponents: [%s]\n' "$(from_there overlays/trial)" \
  "$(from_there components/node-cache)" >"$work/kustomization.yaml"
for overlay in overlays/* "$work"; do
  ../../.venv/bin/kubectl kustomize "$overlay" >"$work/made.yaml"
  ../../.venv/bin/kubernetes-validate --strict --quiet --no-warn "$work/made.yaml" ||
    { echo "$overlay: see above" >&2 && exit 1; }
done
