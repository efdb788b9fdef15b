# The images that are built here: `docker build --target trainer .`
#
# Needs BuildKit (Docker 23 or newer has it on), and fetches the base image and packages only.
ARG PYTHON_IMAGE=python:3.11.16-slim-bookworm@sha256:528257d48c1da0dcecc2e725d1ae34498d60c965f1241e39cd6a85a8859bdf84
ARG BACKUP_IMAGE=${PYTHON_IMAGE}

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
# --chmod, here and below: a clone that was made with a strict umask has files that the image's user may not read.
COPY --chmod=755 wait-for-it.sh /app/

# The MLflow server, and the jobs that run before it.
FROM base AS mlflow
COPY --chmod=755 server /app/server
# MLflow finds a plugin by what is installed: this says that `server` is, and what it offers.
RUN python -m compileall -q /app/server \
 && mkdir /app/server-1.dist-info && cd /app/server-1.dist-info \
 && printf 'Metadata-Version: 2.1\nName: server\nVersion: 1\n' >METADATA \
 && printf '[mlflow.artifact_repository]\ns3 = server.artifacts:s3_repository\n' >entry_points.txt \
 && printf '[mlflow.app]\nteam = server.team:create_app\n' >>entry_points.txt \
 && install -d -o 10001 -g 10001 /var/lib/mlflow
LABEL org.opencontainers.image.title="mlflow" \
      org.opencontainers.image.description="MLflow tracking server and model registry on MySQL and S3" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
EXPOSE 5000
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000"]

# Everything that makes a model, as an MLflow Project that lies in /app: `mlflow run .`
FROM base AS trainer
# git for `mlflow run <git URL>`.
RUN command -v git >/dev/null \
 || { apt-get update && apt-get install -y --no-install-recommends git ca-certificates \
      && rm -rf /var/lib/apt/lists/*; }
RUN --mount=type=bind,source=trainer/requirements.txt,target=/tmp/requirements.txt \
    --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip_config --mount=type=secret,id=ca_bundle \
    export HOME=/root PIP_CONFIG_FILE=/run/secrets/pip_config PIP_DISABLE_PIP_VERSION_CHECK=1; \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi; \
    pip install --quiet --require-hashes --requirement /tmp/requirements.txt
# All that a project of ours needs is installed already, so `mlflow run` is to use it and not
# to build an environment: this stands in front of MLflow's own command and says so.
COPY --chmod=755 trainer/mlflow-run-here.sh /opt/project/mlflow
ENV PATH=/opt/project:$PATH \
    MPLCONFIGDIR=/tmp/matplotlib
COPY --chmod=755 trainer /app
RUN python -m compileall -q /app
LABEL org.opencontainers.image.title="trainer" \
      org.opencontainers.image.description="Trains, compares and registers the classifier of products" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
CMD ["python", "sweep.py", "--first"]

# What serves the registered model: hotserve around `mlflow models serve`.
FROM base AS classificador-produtos
RUN --mount=type=bind,source=classificador-produtos/requirements.txt,target=/tmp/requirements.txt \
    --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip_config --mount=type=secret,id=ca_bundle \
    export HOME=/root PIP_CONFIG_FILE=/run/secrets/pip_config PIP_DISABLE_PIP_VERSION_CHECK=1; \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi; \
    pip install --quiet --require-hashes --requirement /tmp/requirements.txt
RUN printf '#!/opt/venv/bin/python\nimport sys\nfrom hotserve.cli import main\nsys.exit(main())\n' \
      >/usr/local/bin/hotserve \
 && chmod 755 /usr/local/bin/hotserve \
 && install -d -o 10001 -g 10001 /var/cache/hotserve /var/lib/hotserve
ENV HOTSERVE_CACHE=/var/cache/hotserve
COPY --chmod=755 classificador-produtos/hotserve /app/hotserve
RUN python -m compileall -q /app/hotserve
LABEL org.opencontainers.image.title="classificador-produtos" \
      org.opencontainers.image.description="Serves the registered model and follows the registry" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
EXPOSE 8080
CMD ["hotserve", "mlflow", "models", "serve", "-m", "models:/classificador-produtos/Production", \
     "-p", "8080", "-h", "0.0.0.0", "--env-manager", "local"]

# What keeps backups: restic, and what reads the database and the bucket.
FROM ${BACKUP_IMAGE} AS backup
RUN command -v restic >/dev/null \
 || { apt-get update && apt-get install -y --no-install-recommends \
        restic rclone mariadb-client sqlite3 openssh-client curl ca-certificates \
      && rm -rf /var/lib/apt/lists/*; }
RUN groupadd --gid 10001 app \
 && useradd --uid 10001 --gid app --no-create-home --home-dir /tmp --shell /usr/sbin/nologin app \
 && install -d -o 10001 -g 10001 /backups /var/lib/backup /var/lib/backup-metrics \
      /var/lib/team/users /var/lib/team/tokens /var/lib/team/caddy
ENV LANG=C.UTF-8 \
    HOME=/tmp \
    BACKUP_WORK=/var/lib/backup \
    BACKUP_METRICS=/var/lib/backup-metrics \
    RESTIC_CACHE_DIR=/var/lib/backup/cache
COPY --chmod=755 deploy/backup /opt/backup
LABEL org.opencontainers.image.title="backup" \
      org.opencontainers.image.description="Backs up and restores the stack's database and files" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
ENTRYPOINT ["/opt/backup/backup.sh"]
CMD ["list"]

# The trainer with Spark and Java: a cluster's master and workers, and the jobs that use it.
FROM trainer AS spark
USER 0:0
RUN command -v java >/dev/null \
 || { apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless \
      && rm -rf /var/lib/apt/lists/*; }
RUN --mount=type=bind,source=trainer/requirements-spark.txt,target=/tmp/requirements.txt \
    --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip_config --mount=type=secret,id=ca_bundle \
    export HOME=/root PIP_CONFIG_FILE=/run/secrets/pip_config PIP_DISABLE_PIP_VERSION_CHECK=1; \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi; \
    pip install --quiet --require-hashes --requirement /tmp/requirements.txt
COPY --chmod=755 trainer/spark-executor.sh /usr/local/bin/executor
LABEL org.opencontainers.image.title="spark" \
      org.opencontainers.image.description="Classifies many products on a Spark cluster" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
CMD ["spark-class", "org.apache.spark.deploy.master.Master"]
