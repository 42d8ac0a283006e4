# The image of Sidegate. Any base with Python 3.11 or newer, venv and pip will do; it is the same in both stages.
ARG BASE=python:3.13-slim-bookworm

# hadolint ignore=DL3006
FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# With traces: --build-arg LOCK=requirements-otel.lock
ARG LOCK=requirements.lock
WORKDIR /src
RUN python3 -m venv /opt/sidegate
# The packages first: they change seldom.
COPY ${LOCK} requirements-build.lock ./
RUN /opt/sidegate/bin/pip install --require-hashes --only-binary :all: -r "${LOCK}" \
 && /opt/sidegate/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md ./
COPY proxy proxy
# Nothing that installs or compiles is left behind.
RUN /opt/sidegate/bin/pip install --no-deps --no-build-isolation . \
 && /opt/sidegate/bin/pip uninstall --yes setuptools pip \
 && /opt/sidegate/bin/sidegate --version

# hadolint ignore=DL3006
FROM ${BASE}
LABEL org.opencontainers.image.title="sidegate" \
      org.opencontainers.image.description="A login gate in front of an app that knows nothing of login" \
      org.opencontainers.image.documentation="README.md"
COPY --from=build /opt/sidegate /opt/sidegate
ENV PATH=/opt/sidegate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
# Nobody of the base image; nothing is written anywhere, so the root may be read-only.
USER 65532:65532
WORKDIR /
EXPOSE 4180 4190
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["sidegate", "health", "-c", "/etc/sidegate/sidegate.yaml"]
ENTRYPOINT ["sidegate"]
CMD ["run", "-c", "/etc/sidegate/sidegate.yaml"]
