#!/usr/bin/env bash
# A one-node Kubernetes cluster of its own: tests/kubernetes/start-cluster.sh FOLDER
#
# As root on Debian. FOLDER/bin has what build-cluster.sh makes. All of it runs in a network
# namespace, so that its firewall rules are nobody else's; this machine reaches its node, pods and
# services through one pair of interfaces. FOLDER/kubeconfig is for kubectl. stop-cluster.sh ends it.
set -euo pipefail

folder=$(realpath "${1:?which folder?}")
run=$folder/run
namespace=kubernetes-tests
here=10.201.0.1 node=10.201.0.2
pods=10.88.0.0/16 services=10.96.0.0/16
socket=/run/$namespace/containerd.sock

say() { printf 'cluster: %s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 2
}

install_missing() {
  local missing=()
  command -v containerd >/dev/null || missing+=(containerd)
  [[ -x /usr/lib/cni/bridge ]] || missing+=(containernetworking-plugins)
  command -v iptables >/dev/null || missing+=(iptables)
  command -v ip >/dev/null || missing+=(iproute2)
  ((${#missing[@]})) || return 0
  say "installing ${missing[*]}"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
    >"$run/apt.log" 2>&1 || {
    tail -n 5 "$run/apt.log" >&2
    fail "apt-get could not install ${missing[*]}; its last lines stand above"
  }
}

# inside COMMAND…: in the cluster's network. Not `ip netns exec`, which hides the cgroups.
inside() { nsenter --net="/run/netns/$namespace" "$@"; }

# start NAME COMMAND…: in the background, until stop-cluster.sh.
start() {
  local name=$1
  shift
  setsid nsenter --net="/run/netns/$namespace" "$@" >"$run/$name.log" 2>&1 </dev/null &
  echo $! >"$run/$name.pid"
}

# answers NAME COMMAND…: wait until the command succeeds, as long as NAME runs.
answers() {
  local name=$1 tries
  shift
  for ((tries = 0; tries < 1500; tries++)); do
    if "$@" >/dev/null 2>&1; then return; fi
    if ! kill -0 "$(<"$run/$name.pid")" 2>/dev/null; then break; fi
    sleep 0.2
  done
  tail -n 20 "$run/$name.log" >&2
  fail "$name does not answer; its last lines stand above"
}

make_network() {
  ip netns add "$namespace"
  ip link add "kube-outside" type veth peer name eth0 netns "$namespace"
  ip addr add "$here/24" dev kube-outside
  ip link set kube-outside up
  inside ip link set lo up
  inside ip addr add "$node/24" dev eth0
  inside ip link set eth0 up
  inside ip route add default via "$here"
  inside sysctl -qw net.ipv4.ip_forward=1
  ip route add "$pods" via "$node"
  ip route add "$services" via "$node"
}

write_settings() {
  mkdir -p "$run"/{cni,certificates,data} "/run/$namespace"
  token=$(head -c 24 /dev/urandom | base64 | tr -d '/+=')
  (
    umask 077
    echo "$token,admin,admin,system:masters" >"$run/tokens.csv"
    openssl genrsa -out "$run/service-accounts.key" 2048 2>/dev/null
    # By it the API server is known to other servers of its API, such as metrics-server.
    openssl req -x509 -newkey rsa:2048 -nodes -days 7 -subj /CN=front-proxy \
      -keyout "$run/front-proxy.key" -out "$run/front-proxy.crt" 2>/dev/null
    cat >"$folder/kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: tests, cluster: {server: "https://$node:6443", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: "$token"}}]
contexts: [{name: tests, context: {cluster: tests, user: admin}}]
current-context: tests
END
  )
  cat >"$run/cni/10-bridge.conflist" <<END
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
  cat >"$run/containerd.toml" <<END
version = 2
root = "$run/data/containerd"
state = "/run/$namespace/containerd"
[grpc]
  address = "$socket"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "local/pause:1"
  # Root has no CAP_SYS_RESOURCE on every machine.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "$run/cni"
END
  cat >"$run/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://$socket
clusterDNS: [$node]
clusterDomain: cluster.local
resolvConf: ""
podLogsDir: $run/data/logs
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 0%, nodefs.available: 0%, imagefs.available: 0%, nodefs.inodesFree: 0%}
END
  cat >"$run/kube-proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $folder/kubeconfig}
clusterCIDR: $pods
mode: iptables
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
END
  cat >"$run/Corefile" <<END
cluster.local {
  bind $node
  kubernetes cluster.local {
    kubeconfig $folder/kubeconfig tests
  }
}
. {
  bind $node
  template ANY ANY {
    rcode NXDOMAIN
  }
}
END
}

# The image of the pod that keeps the namespaces: one program and nothing else.
import_pause() {
  local image=$run/pause
  mkdir -p "$image/root"
  cp "$folder/bin/pause" "$image/root/pause"
  tar -C "$image/root" -cf "$image/layer.tar" pause
  local layer
  layer=$(sha256sum "$image/layer.tar" | cut -d ' ' -f 1)
  printf '{"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/pause"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:%s"]}}' "$layer" >"$image/config.json"
  printf '[{"Config": "config.json", "RepoTags": ["local/pause:1"], "Layers": ["layer.tar"]}]' >"$image/manifest.json"
  tar -C "$image" -cf "$image/image.tar" config.json manifest.json layer.tar
  ctr --address "$socket" --namespace k8s.io images import --digests=false "$image/image.tar" >/dev/null
}

[[ $(id -u) == 0 ]] || fail "only root can make one"
[[ ! -e /run/netns/$namespace ]] || fail "one is running already, or was not ended: tests/kubernetes/stop-cluster.sh $folder"
# Of one that did not start nothing is left, so that the next one can.
stop=$(dirname "$(realpath "$0")")/stop-cluster.sh
trap '[[ $? == 0 ]] || "$stop" "$folder"' EXIT
mkdir -p "$run"
install_missing
make_network
write_settings
export KUBECONFIG=$folder/kubeconfig
bin=$folder/bin

start etcd "$bin/etcd" --data-dir "$run/data/etcd" --unsafe-no-fsync --log-level warn
answers etcd inside bash -c 'exec 3<>/dev/tcp/127.0.0.1/2379'
start kube-apiserver "$bin/kube-apiserver" --etcd-servers http://127.0.0.1:2379 \
  --service-cluster-ip-range "$services" --bind-address 0.0.0.0 --advertise-address "$node" \
  --endpoint-reconciler-type none --cert-dir "$run/certificates" --authorization-mode RBAC \
  --kubelet-preferred-address-types InternalIP \
  --token-auth-file "$run/tokens.csv" --service-account-issuer https://kubernetes.default.svc \
  --service-account-key-file "$run/service-accounts.key" \
  --service-account-signing-key-file "$run/service-accounts.key" \
  --requestheader-client-ca-file "$run/front-proxy.crt" --requestheader-username-headers X-Remote-User \
  --requestheader-group-headers X-Remote-Group --requestheader-extra-headers-prefix X-Remote-Extra- \
  --proxy-client-cert-file "$run/front-proxy.crt" --proxy-client-key-file "$run/front-proxy.key"
start containerd containerd --config "$run/containerd.toml"
answers kube-apiserver kubectl get --raw /readyz
# There is one of each, which may be slow: it need not prove that it leads, or that the node is there.
start kube-controller-manager "$bin/kube-controller-manager" --kubeconfig "$KUBECONFIG" \
  --leader-elect=false --node-monitor-grace-period 10m \
  --service-account-private-key-file "$run/service-accounts.key" \
  --root-ca-file "$run/certificates/apiserver.crt" --use-service-account-credentials
start kube-scheduler "$bin/kube-scheduler" --kubeconfig "$KUBECONFIG" --leader-elect=false
start kube-proxy "$bin/kube-proxy" --config "$run/kube-proxy.yaml" --hostname-override node
start coredns "$bin/coredns" -conf "$run/Corefile"
answers coredns inside bash -c "exec 3<>/dev/tcp/$node/53"
answers containerd ctr --address "$socket" version
import_pause
start kubelet "$bin/kubelet" --config "$run/kubelet.yaml" --kubeconfig "$KUBECONFIG" \
  --hostname-override node --node-ip "$node" --root-dir "$run/data/kubelet"
answers kubelet kubectl wait --for=condition=Ready node/node --timeout=1s
say "ready: KUBECONFIG=$KUBECONFIG"
