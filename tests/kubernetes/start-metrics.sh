#!/usr/bin/env bash
# Gives a running cluster what its autoscalers ask: tests/kubernetes/start-metrics.sh FOLDER
#
# metrics-server, beside Kubernetes' own programs. stop-cluster.sh ends it with the others.
set -euo pipefail

folder=$(realpath "${1:?which folder?}")
run=$folder/run
node=10.201.0.2
export KUBECONFIG=$folder/kubeconfig

"$(dirname "$0")/build-cluster.sh" "$folder" metrics-server
setsid nsenter --net=/run/netns/kubernetes-tests "$folder/bin/metrics-server" --secure-port 4443 \
  --cert-dir "$run/certificates-of-metrics" --metric-resolution 15s --kubelet-insecure-tls \
  --kubelet-preferred-address-types InternalIP --kubeconfig "$KUBECONFIG" \
  --authentication-kubeconfig "$KUBECONFIG" --authorization-kubeconfig "$KUBECONFIG" \
  >"$run/metrics-server.log" 2>&1 </dev/null &
echo $! >"$run/metrics-server.pid"

kubectl apply --filename - <<END
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec: {ports: [{port: 443, targetPort: 4443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: metrics-server
  namespace: kube-system
  labels: {kubernetes.io/service-name: metrics-server}
addressType: IPv4
ports: [{port: 4443}]
endpoints: [{addresses: ["$node"]}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  group: metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: metrics-server, namespace: kube-system}
END
kubectl wait --for=condition=Available apiservice/v1beta1.metrics.k8s.io --timeout=300s || {
  tail -n 20 "$run/metrics-server.log" >&2
  exit 2
}
