#!/bin/sh
# In the trainer's image `mlflow run` means `mlflow run --env-manager local`, unless the line
# says something else; every other command is MLflow's own.
if [ "${1:-}" = run ]; then
  shift
  case " $* " in
    *" --env-manager"*) ;;
    *) set -- --env-manager local "$@" ;;
  esac
  set -- run "$@"
fi
exec /opt/venv/bin/mlflow "$@"
