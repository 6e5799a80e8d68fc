# The image of `jennah operator`, `jennah api` and `jennah migrate`. docs/install.md says how to build it.
#   docker build --build-arg EXTRAS=gcp,spanner -t REGISTRY/jennah-controller:0.1.0 .

# A tag gets security updates and can be changed under us. For a build that can be repeated give the base by digest:
#   --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
WORKDIR /src
COPY requirements-build.lock ./
RUN pip install --only-binary :all: --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md requirements-image.lock ./
COPY controller/ controller/
COPY api/ api/
# Extras of pyproject.toml: the clouds and databases that this image can talk to.
ARG EXTRAS=aws,azure,cosmosdb,dynamodb,gcp,gcp-logs,oidc,postgres,spanner
# The lock holds every package that any extra needs, so as a constraint it decides all versions and their hashes.
# A package that it lacks, or of another hash, ends the build; the wheel is named with the hash that it was made with.
# Wheels only: nothing is compiled, and nothing of a package runs here. Byte code now, as the root will be read-only.
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && python -m venv --without-pip /opt/jennah \
 && sha256sum dist/*.whl > dist/sum && read -r digest wheel < dist/sum \
 && echo "./${wheel}[${EXTRAS}] --hash=sha256:${digest}" > dist/wanted.txt \
 && uv pip install --python /opt/jennah --only-binary :all: --compile-bytecode --require-hashes \
      -c requirements-image.lock -r dist/wanted.txt \
 && uv pip check --python /opt/jennah \
 && cyclonedx-py environment --output-reproducible --pyproject pyproject.toml -o /opt/jennah/sbom.cdx.json \
      /opt/jennah/bin/python

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="jennah-controller" \
      org.opencontainers.image.description="Jennah's controller and API: containers on cloud batch services, exactly once" \
      org.opencontainers.image.source="https://github.com/alphauslabs/jennah" \
      org.opencontainers.image.vendor="Alphaus" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/jennah /opt/jennah
# HOME: SDKs look for their files there, and an account of any number (OpenShift) has none.
ENV PATH=/opt/jennah/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
# A number, so that Kubernetes sees that it is not root.
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["jennah"]
CMD ["operator"]
