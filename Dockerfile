# The MLflow server, and the job that makes its bucket.
#
# Needs BuildKit (Docker 23 or newer has it on), and fetches the base image and packages only.
ARG PYTHON_IMAGE=python:3.11.16-slim-bookworm@sha256:528257d48c1da0dcecc2e725d1ae34498d60c965f1241e39cd6a85a8859bdf84

# --- base: word for word the same in all three Dockerfiles, so it is built and stored once.
FROM ${PYTHON_IMAGE} AS base
ENV LANG=C.UTF-8 \
    HOME=/tmp \
    PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    VIRTUAL_ENV=/opt/venv \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1
RUN groupadd --gid 10001 app \
 && useradd --uid 10001 --gid app --no-create-home --home-dir /tmp --shell /usr/sbin/nologin app \
 && python -m venv /opt/venv
# pip's settings and a CA bundle are build secrets: they are used if given, and stay nowhere.
# pip compiles the bytecode: without it the first `mlflow server` would take twice as long.
RUN --mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt \
    --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip_config --mount=type=secret,id=ca_bundle \
    export HOME=/root PIP_CONFIG_FILE=/run/secrets/pip_config PIP_DISABLE_PIP_VERSION_CHECK=1; \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi; \
    pip install --quiet --require-hashes --requirement /tmp/requirements.txt
WORKDIR /app
COPY --chmod=755 wait-for-it.sh /app/
# --- end of base

FROM base AS mlflow
COPY server /app/server
RUN python -m compileall -q /app/server
LABEL org.opencontainers.image.title="mlflow" \
      org.opencontainers.image.description="MLflow tracking server and model registry on MySQL and S3" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
EXPOSE 5000
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000"]
