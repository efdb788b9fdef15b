# One machine, no containers: `make run`. In containers: `make up`.
# Settings can be given on the line: make run MLFLOW_PORT=5001 SERVE_PORT=8081 STACK_HOME=/tmp/two

.DEFAULT_GOAL := help
SHELL := /bin/bash

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: env
env: ## make or update the environment in .venv
	@./local/environment.sh run

.PHONY: lint
lint: env-dev ## ruff and mypy
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy trainer classificador-produtos local tests benchmarks

.PHONY: format
format: env-dev ## let ruff mend what it can
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

.PHONY: lock
lock: env ## pin the requirements again (make lock ARGS=--upgrade)
	@./local/lock.sh $(ARGS)

.PHONY: env-dev
env-dev:
	@./local/environment.sh dev
