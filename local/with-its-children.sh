#!/usr/bin/env bash
# Runs a command as the leader of its process group; when it ends in any way but well, all that it
# started ends too. An MLflow that runs jobs would leave its uvicorn behind, which keeps the port.
set -uo pipefail

# Were this script killed instead, the command is told to stop.
setpriv --pdeathsig TERM "$@" &
command=$!
trap 'kill -TERM "$command" 2>/dev/null' TERM INT

# A trapped signal ends `wait`, not the command.
code=0
while wait "$command"; code=$?; kill -0 "$command" 2>/dev/null; do :; done

((code == 0)) || kill -KILL 0
