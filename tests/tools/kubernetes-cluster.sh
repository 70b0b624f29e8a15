#!/bin/bash
# A real Kubernetes (1.20.2, one node, Docker beneath it) on this machine, for the suite marked `kubernetes`.
#
#   DIR=some/dir tests/tools/kubernetes-cluster.sh build    # from Debian's source package; ~20 min on two cores
#   DIR=some/dir tests/tools/kubernetes-cluster.sh start    # prints the two variables that the suite needs
#   DIR=some/dir tests/tools/kubernetes-cluster.sh stop
#
# As root, on Debian 12 with cgroup v1. Packages: docker.io docker-registry iptables iproute2 etcd-server openssl
# busybox-static kubernetes-client; to build: golang-go dpkg-dev python3. Everything runs in a network namespace
# `oatie-k8s` and is ended by its process id. The node is 10.98.0.2; its pods are reached from here, its Services are
# not (no kube-proxy).
#
# It is old, and made to pass for newer in one respect: policy/v1 and autoscaling/v2 are the betas of this version,
# which have the same fields. What it lacks: Pod Security levels, the `sleep` action, a metrics server. What it does
# otherwise than clusters since 1.22: a field that is no longer applied leaves an empty `lifecycle` or probe behind, which
# it then refuses; the scale subresource has no field manager. So of the suite, these fail here and only here:
#   -k 'not security_level and not applied_by_hand and not autoscaler_keeps'
set -euo pipefail
D=$(mkdir -p "${DIR:?a directory for sources, binaries and state}" && cd "$DIR" && pwd)
HERE=$(cd "$(dirname "$0")" && pwd)
VERSION=1.20.2
HOST_IP=10.98.0.1 NODE_IP=10.98.0.2 POD_CIDR=172.29.0.1/24 SERVICES=10.97.0.0/24
SOURCES=$D/go/src/k8s.io/kubernetes

build() {
  mkdir -p "$D/lists" "$D/go/src/k8s.io" "$D/bin"
  if [ ! -d "$SOURCES" ]; then
    # Debian's own sources, whatever its binary packages come from.
    sed 's/^Types:.*/Types: deb-src/; s/^deb /deb-src /' /etc/apt/sources.list.d/debian.sources >"$D/apt.sources"
    local apt=(-o "Dir::Etc::SourceList=$D/apt.sources" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$D/lists")
    apt-get "${apt[@]}" -qq update
    (cd "$D" && apt-get "${apt[@]}" -qq source --download-only kubernetes)
    tar -C "$D/go/src/k8s.io" -xzf "$D"/kubernetes_*.orig.tar.gz
    mv "$D/go/src/k8s.io/kubernetes-$VERSION" "$SOURCES"
  fi
  export GOPATH=$D/go GOCACHE=$D/gocache GO111MODULE=off GOPROXY=off CGO_ENABLED=0
  cd "$SOURCES"
  # This one file is made, not kept, upstream.
  if [ ! -e pkg/generated/openapi/zz_generated.openapi.go ]; then
    go build -o "$D/bin/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
    local from
    from=$(grep -rl --include='*.go' '+k8s:openapi-gen=' pkg cmd plugin vendor/k8s.io/*/ |
      grep -vE '^vendor/k8s.io/(code-generator|sample-apiserver|kube-openapi|gengo)/' |
      xargs -n1 dirname | LC_ALL=C sort -u | sed 's#^#k8s.io/kubernetes/#' | paste -sd,)
    "$D/bin/openapi-gen" -i "$from" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
      -h hack/boilerplate/boilerplate.generatego.txt -r "$D/violations" --output-base "$GOPATH/src"
  fi
  python3 "$HERE/kubernetes_patches.py" "$SOURCES"
  for program in kube-apiserver kube-controller-manager kube-scheduler kubelet; do
    [ -e "$D/bin/$program" ] || nice go build -p 2 -tags providerless -ldflags '-s -w' -o "$D/bin/$program" "./cmd/$program"
  done
}

certificates() {
  mkdir -p "$D/pki" && cd "$D/pki"
  [ -e ca.crt ] || openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=oatie-k8s \
    -addext keyUsage=critical,keyCertSign,digitalSignature -keyout ca.key -out ca.crt 2>/dev/null
  [ -e accounts.key ] || openssl genrsa -out accounts.key 2048 2>/dev/null
  certificate server /CN=kube-apiserver \
    "subjectAltName=IP:127.0.0.1,IP:$NODE_IP,IP:${SERVICES%0/24}1,DNS:kubernetes,DNS:kubernetes.default.svc"
  certificate admin /O=system:masters/CN=admin subjectAltName=DNS:admin
}

certificate() { # NAME SUBJECT EXTENSION: signed by the cluster's own authority, good for servers and clients
  [ -e "$1.crt" ] && return
  openssl req -newkey rsa:2048 -nodes -subj "$2" -keyout "$1.key" -out "$1.csr" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$1.crt" \
    -extfile <(echo "$3"; echo extendedKeyUsage=serverAuth,clientAuth) 2>/dev/null
}

kubeconfig() {
  cat <<K
apiVersion: v1
kind: Config
current-context: admin@oatie
contexts: [{name: admin@oatie, context: {cluster: oatie, user: admin}}]
clusters:
- name: oatie
  cluster: {server: "https://$NODE_IP:6443", certificate-authority-data: $(base64 -w0 "$D/pki/ca.crt")}
users:
- name: admin
  user:
    client-certificate-data: $(base64 -w0 "$D/pki/admin.crt")
    client-key-data: $(base64 -w0 "$D/pki/admin.key")
K
}

network() {
  ip netns list | grep -qw oatie-k8s && return
  ip netns add oatie-k8s
  ip link add oatie-k8s type veth peer name eth0 netns oatie-k8s
  ip addr add "$HOST_IP/24" dev oatie-k8s && ip link set oatie-k8s up
  ip -n oatie-k8s addr add "$NODE_IP/24" dev eth0
  ip -n oatie-k8s link set eth0 up && ip -n oatie-k8s link set lo up
  ip -n oatie-k8s route add default via "$HOST_IP"
  ip route add "${POD_CIDR%1/24}0/24" via "$NODE_IP"
}

run() { # NAME PROGRAM ARGUMENTS...: in the background, with a log and a pid; nothing where it runs already
  local name=$1 pid
  shift
  pid=$(cat "$D/run/$name.pid" 2>/dev/null || true)
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && return
  setsid "$@" >>"$D/log/$name" 2>&1 </dev/null &
  echo $! >"$D/run/$name.pid"
}

until_true() { # WHAT COMMAND...: within two minutes
  local what=$1 left=240
  shift
  until "$@" >/dev/null 2>&1; do
    ((left--)) || { echo "no $what; see $D/log" >&2; exit 1; }
    sleep 0.5
  done
}

images() {
  local made=$D/rootfs docker=(docker -H "unix://$D/run/docker.sock") name
  "${docker[@]}" image inspect pause:oatie >/dev/null 2>&1 && return
  mkdir -p "$made/bin" "$made/tmp" "$made/etc"
  chmod 1777 "$made/tmp"
  cp /bin/busybox "$made/bin/busybox"
  for name in $(/bin/busybox --list); do [ -e "$made/bin/$name" ] || ln -s busybox "$made/bin/$name"; done
  local forever='trap "exit 0" TERM; while :; do sleep 86400 & wait; done'
  tar -C "$made" -c . | "${docker[@]}" import -c "ENTRYPOINT $(python3 -c 'import json, sys
print(json.dumps(["/bin/sh", "-c", sys.argv[1]]))' "$forever")" - pause:oatie >/dev/null
  tar -C "$made" -c . | "${docker[@]}" import -c 'ENV PATH=/bin' - "$NODE_IP:5000/busybox:1" >/dev/null
  "${docker[@]}" push -q "$NODE_IP:5000/busybox:1"
}

start() {
  network
  mkdir -p "$D"/{run,log,etcd,registry,docker,kubelet}
  certificates
  kubeconfig >"$D/kubeconfig"
  # Its own mounts, too: the kubelet's, and the fixed places of dockerd's networks.
  D=$D nsenter --net=/run/netns/oatie-k8s unshare --mount --propagation private "$HERE/${0##*/}" inside
  ip netns exec oatie-k8s true
  until_true "API server" kubectl --kubeconfig "$D/kubeconfig" get --raw /readyz
  images
  until_true "node that is ready" sh -c "kubectl --kubeconfig '$D/kubeconfig' get nodes | grep -w Ready"
  until_true "account" kubectl --kubeconfig "$D/kubeconfig" get serviceaccount default
  echo "KUBECONFIG=$D/kubeconfig OATIE_TEST_IMAGE=$NODE_IP:5000/busybox:1"
}

inside() {
  mkdir -p /run/docker && mount -t tmpfs tmpfs /run/docker
  mount --bind "$D/kubelet" "$D/kubelet" && mount --make-rshared "$D/kubelet"
  # /sys of this network namespace, with the control groups that there are.
  mkdir -p "$D/run/cgroup" && mount --rbind /sys/fs/cgroup "$D/run/cgroup"
  mount -t sysfs sysfs /sys && mount --rbind "$D/run/cgroup" /sys/fs/cgroup
  sysctl -qw net.ipv4.ip_forward=1
  local to="$D/kubeconfig" pki=$D/pki
  cat >"$D/registry.yml" <<R
version: 0.1
storage: {filesystem: {rootdirectory: $D/registry}, delete: {enabled: true}}
http: {addr: "0.0.0.0:5000"}
R
  run registry docker-registry serve "$D/registry.yml"
  run dockerd dockerd --data-root "$D/docker" --exec-root "$D/run/docker" --pidfile "$D/run/docker.pid" \
    -H "unix://$D/run/docker.sock" --bip "$POD_CIDR" --insecure-registry "$NODE_IP:5000" \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent /oatie-k8s
  run etcd etcd --data-dir "$D/etcd" --listen-client-urls http://127.0.0.1:2379 \
    --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
  apiserver
  run controllers "$D/bin/kube-controller-manager" --kubeconfig "$to" --leader-elect=false \
    --service-account-private-key-file "$pki/accounts.key" --root-ca-file "$pki/ca.crt" --use-service-account-credentials \
    --feature-gates TTLAfterFinished=true --horizontal-pod-autoscaler-sync-period=5s --port=0
  run scheduler "$D/bin/kube-scheduler" --kubeconfig "$to" --leader-elect=false --port=0
  until_true dockerd docker -H "unix://$D/run/docker.sock" version
  run kubelet "$D/bin/kubelet" --kubeconfig "$to" --root-dir "$D/kubelet" --cert-dir "$D/kubelet/pki" \
    --hostname-override node1 --node-ip "$NODE_IP" --container-runtime docker \
    --docker-endpoint "unix://$D/run/docker.sock" --pod-infra-container-image pause:oatie \
    --cgroup-driver cgroupfs --fail-swap-on=false --eviction-hard nodefs.available\<1% --image-gc-high-threshold 100 \
    --authorization-mode AlwaysAllow --anonymous-auth --hairpin-mode none --serialize-image-pulls=false \
    --feature-gates TTLAfterFinished=true
}

apiserver() {
  local pki=$D/pki
  run apiserver "$D/bin/kube-apiserver" --etcd-servers http://127.0.0.1:2379 --service-cluster-ip-range "$SERVICES" \
    --advertise-address "$NODE_IP" --bind-address 0.0.0.0 --secure-port 6443 --authorization-mode RBAC \
    --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/server.crt" --tls-private-key-file "$pki/server.key" \
    --kubelet-client-certificate "$pki/admin.crt" --kubelet-client-key "$pki/admin.key" \
    --service-account-key-file "$pki/accounts.key" --service-account-signing-key-file "$pki/accounts.key" \
    --service-account-issuer https://kubernetes.default.svc --feature-gates TTLAfterFinished=true \
    --allow-privileged --kubelet-preferred-address-types InternalIP --endpoint-reconciler-type none
}

stop() {
  local name pid
  for name in kubelet scheduler controllers apiserver; do end "$name"; done
  docker -H "unix://$D/run/docker.sock" ps -aq 2>/dev/null |
    xargs -r docker -H "unix://$D/run/docker.sock" rm -f >/dev/null 2>&1 || true
  for name in dockerd registry etcd; do end "$name"; done
  if ip netns list | grep -qw oatie-k8s; then
    ip link del oatie-k8s
    ip netns del oatie-k8s
  fi
  find /sys/fs/cgroup/*/kubepods /sys/fs/cgroup/*/oatie-k8s -depth -type d -exec rmdir {} \; 2>/dev/null || true
}

end() {
  local pid left=40
  pid=$(cat "$D/run/$1.pid" 2>/dev/null || true)
  rm -f "$D/run/$1.pid"
  [ -n "$pid" ] || return 0
  kill "$pid" 2>/dev/null || return 0
  while kill -0 "$pid" 2>/dev/null; do
    ((left--)) || { kill -9 "$pid"; return 0; }
    sleep 0.5
  done
}

case "${1:-}" in
build | start | stop | inside) "$1" ;;
*) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' && exit 2 ;;
esac
