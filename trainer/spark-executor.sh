#!/usr/bin/env bash
# `executor` in the image `spark`: what Kubernetes starts in the pods of a job on Spark. Spark's own
# images have a command of this name; the Python package, which this one is made with, has none.
set -euo pipefail

options=()
for name in "${!SPARK_JAVA_OPT_@}"; do options+=("${!name}"); done
jars=$(python -c 'import pyspark; print(pyspark.__path__[0])')/jars

# What a job sends is unpacked where its executor was started, and not everything may be written to.
cd "${SPARK_LOCAL_DIRS%%,*}"
exec java "${options[@]}" "-Xmx$SPARK_EXECUTOR_MEMORY" \
  -cp "${SPARK_CLASSPATH:+$SPARK_CLASSPATH:}$jars/*" \
  org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
  --driver-url "$SPARK_DRIVER_URL" --app-id "$SPARK_APPLICATION_ID" \
  --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
  --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" \
  --hostname "$SPARK_EXECUTOR_POD_IP" --podName "$SPARK_EXECUTOR_POD_NAME"
