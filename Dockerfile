# The service: `docker build -t coder .`, then run it with a volume for /var/lib/coder and an engine for its sandboxes
# (a mounted socket, and --group-add with the socket's group; or DOCKER_HOST).
#
# BASE_IMAGE may be any Debian 12 image, with Python 3.11 or without. Behind a proxy that opens TLS, put its
# certificates into `ca-bundle.crt` beside this file.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS base
COPY requirements.lock ca-bundle.cr[t] /build/
RUN set -eu; \
    if [ -s /build/ca-bundle.crt ]; then \
        echo 'Acquire::https::CaInfo "/build/ca-bundle.crt";' > /etc/apt/apt.conf.d/90coder-ca; \
    fi; \
    export DEBIAN_FRONTEND=noninteractive; \
    python=; command -v python3 > /dev/null || python="python3 python3-venv"; \
    apt-get update; \
    apt-get install -y --no-install-recommends ca-certificates git $python; \
    rm -rf /var/lib/apt/lists/*; \
    groupadd --gid 1000 coder; \
    useradd --uid 1000 --gid 1000 --create-home --shell /usr/sbin/nologin coder; \
    install -d -o coder -g coder -m 0700 /var/lib/coder

FROM base AS build
RUN set -eu; \
    if [ -s /build/ca-bundle.crt ]; then export PIP_CERT=/build/ca-bundle.crt; fi; \
    python3 -m venv /opt/coder; \
    /opt/coder/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /build/requirements.lock
COPY pyproject.toml README.md LICENS[E] /src/
COPY coder /src/coder
COPY webhooks /src/webhooks
COPY configs /src/configs
COPY sandbox_images /src/sandbox_images
RUN /opt/coder/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --no-index /src

FROM base
COPY --from=build /opt/coder /opt/coder
ENV PATH=/opt/coder/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CODER_STATE_DIR=/var/lib/coder \
    CODER_SERVICE__HOST=0.0.0.0 \
    CODER_SERVICE__PORT=8080
USER coder
WORKDIR /var/lib/coder
VOLUME /var/lib/coder
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["coder"]
CMD ["serve"]
