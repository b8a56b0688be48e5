# The worker's image: make image, or `docker|podman|buildah build -t signalfleet .`
#
# Pins: the base by full version, every Python package by version and hash (uv.lock). A registry
# of your own should pin the base by digest too, and renew it with each Debian security release:
#   --build-arg PYTHON_IMAGE=docker.io/library/python:3.12.12-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=docker.io/library/python:3.12.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# Kernels are compiled for any processor of the architecture, so that the node's need not be the
# builder's. For nodes that are known: --build-arg CPU=x86-64-v3 (or neoverse-n1, ...).
ARG CPU=generic
# A registry keeps whole seconds of a file's time, and numba takes a kernel whose source has
# another time for stale: so all files get this one.
ARG SOURCE_DATE_EPOCH=1735689600
ENV NUMBA_CACHE_DIR=/opt/signalfleet/kernels \
    NUMBA_CPU_NAME=${CPU} \
    NUMBA_CPU_FEATURES="" \
    PYTHONDONTWRITEBYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PROJECT_ENVIRONMENT=/opt/signalfleet/venv \
    UV_PYTHON=python3 \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build
COPY pyproject.toml uv.lock ./
# The uv that uv.lock names; then everything but the project, a layer that only the lock renews.
RUN python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check "$(python3 -c \
       'import tomllib; print(*("uv==" + p["version"] for p in tomllib.load(open("uv.lock", "rb"))["package"] if p["name"] == "uv"))')" \
    && /opt/uv/bin/uv sync --frozen --no-default-groups --extra otel --no-install-project
COPY LICENSE README.md ./
COPY indicators indicators
COPY sandbox sandbox
COPY streams streams
COPY workers workers
# -P: the kernels of the installed packages, not of the sources beside it; numba goes by path.
RUN /opt/uv/bin/uv sync --frozen --no-default-groups --extra otel --no-editable \
    && /opt/uv/bin/uv export --quiet --frozen --no-default-groups --extra otel --preview-features sbom-export \
       --format cyclonedx1.5 --output-file /opt/signalfleet/sbom.cdx.json \
    && find /opt/signalfleet -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} + \
    && /opt/signalfleet/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash \
       /opt/signalfleet/venv/lib \
    && /opt/signalfleet/venv/bin/python -P -m workers.warm

FROM ${PYTHON_IMAGE}
ARG CPU=generic
LABEL org.opencontainers.image.title="signalfleet" \
      org.opencontainers.image.description="Real-time technical-analysis signals over Redis Streams" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV HOME=/tmp \
    NUMBA_CACHE_DIR=/tmp/kernels \
    NUMBA_CPU_NAME=${CPU} \
    NUMBA_CPU_FEATURES="" \
    PATH=/usr/local/bin:/opt/signalfleet/venv/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN echo "fleet:x:10001:" >> /etc/group \
    && echo "fleet:x:10001:10001::/tmp:/usr/sbin/nologin" >> /etc/passwd \
    && mkdir /etc/signalfleet
COPY --chmod=0755 docker/fleet /usr/local/bin/fleet
COPY --from=build /opt/signalfleet /opt/signalfleet
# Numeric, so that Kubernetes can tell it from root.
USER 10001:10001
WORKDIR /tmp
EXPOSE 9464
ENTRYPOINT ["fleet"]
CMD ["--help"]
