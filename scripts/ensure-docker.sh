#!/bin/sh
# Sees to a Docker engine that answers: uses a running one; else, on Debian or Ubuntu as root, installs the
# distribution's docker.io and starts it in the background; else says what to do and fails.
set -eu

log=${CODER_DOCKERD_LOG:-/var/log/dockerd.log}
wait_s=60

answers() {
    docker version --format '{{.Server.Version}}' 2>/dev/null
}

# An engine needs no command-line client here: the socket answers too.
socket_answers() {
    python3 - <<'PY' 2>/dev/null
import os, socket, sys
host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
if not host.startswith("unix://"):
    sys.exit(1)
with socket.socket(socket.AF_UNIX) as s:
    s.settimeout(5)
    s.connect(host[len("unix://"):])
    s.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
    sys.exit(0 if b" 200 " in s.recv(200) else 1)
PY
}

ready() {
    [ -n "$(answers || true)" ] || socket_answers
}

fail() {
    echo "ensure-docker: $*" >&2
    exit 1
}

if ready; then
    echo "ensure-docker: a Docker engine answers"
    exit 0
fi

if [ -n "${DOCKER_HOST:-}" ]; then
    fail "DOCKER_HOST is set to '$DOCKER_HOST', but no engine answers there. Start it, or unset DOCKER_HOST."
fi
if [ "$(id -u)" -ne 0 ]; then
    fail "no Docker engine answers. Start yours (for instance: sudo systemctl start docker) and see that user '$(id -un)' may use it (group docker), or run this as root on Debian or Ubuntu to have one installed."
fi
if ! command -v dockerd >/dev/null 2>&1 || ! command -v debootstrap >/dev/null 2>&1; then
    command -v apt-get >/dev/null 2>&1 ||
        fail "no Docker engine answers, and this is not Debian or Ubuntu: install and start Docker Engine 20.10 or later, then try again."
    echo "ensure-docker: installing docker.io, iptables, debootstrap"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q ||
        fail "apt-get update failed: see above"
    apt-get install -y -q --no-install-recommends docker.io iptables debootstrap ||
        fail "docker.io could not be installed: see above"
fi

# A machine that was switched off leaves files with process ids that may belong to other programs now.
forget_stale() { # file, program
    [ -f "$1" ] || return 0
    [ "$(cat "/proc/$(cat "$1")/comm" 2>/dev/null)" = "$2" ] || rm -f "$1"
}

# A package's own start script may have started it already.
if ! ready; then
    forget_stale /var/run/docker.pid dockerd
    forget_stale /var/run/docker/containerd/containerd.pid containerd
    echo "ensure-docker: starting dockerd (log: $log)"
    nohup dockerd >>"$log" 2>&1 </dev/null &
fi
waited=0
until ready; do
    waited=$((waited + 1))
    if [ "$waited" -gt "$wait_s" ]; then
        tail -n 20 "$log" >&2 || true
        fail "dockerd did not answer within $wait_s s; its log is $log"
    fi
    sleep 1
done
echo "ensure-docker: a Docker engine answers"
