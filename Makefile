# One machine, no containers: `make run`. In containers: `make up`.
# Settings can be given on the line: make run MLFLOW_PORT=5001 SERVE_PORT=8081 STACK_HOME=/tmp/two

.DEFAULT_GOAL := help
SHELL := /bin/bash

# What a command is to do is said on its line. The shell's own variables of these names are for others: WSL sets NAME,
# conda and tcsh HOST, many a CI VERSION.
$(foreach each,NAME ROLE REMOVE HOST VERSION FORCE SNAPSHOT CHECK LOCAL STUDENTS ADDRESS API,\
  $(if $(filter environment,$(origin $(each))),$(eval unexport $(each))$(eval $(each) :=)))

# Runs and versions are those of one MLflow, here: not of a registry that the shell names for something else.
unexport MLFLOW_REGISTRY_URI

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: env ## start everything on this machine: MLflow on 5000, the API on 8080
	@exec .venv/bin/python -m local

# What `make bundle IMAGES=yes` has packed is built already.
.PHONY: up
up: ## start everything in containers
	@# What containers read from here, as users of their own: a strict umask would keep it from them.
	@chmod -R go+rX deploy/monitoring deploy/team/{Caddyfile,auth.ini,tokens.sh} 2>/dev/null || true
	@docker compose up $(if $(wildcard images.tar.gz),--no-build,--build) --detach || { docker compose logs --no-log-prefix check_settings create_s3_buckets >&2; exit 1; }

.PHONY: down
down: ## stop the containers; the data stays
	@docker compose down

# Of the containers; with LOCAL=yes of what `make run` keeps.
BACKUP := ./deploy/backup/$(if $(LOCAL),local,stack).sh

.PHONY: backup
backup: ## keep the data elsewhere (make backup CHECK=yes reads all back; LOCAL=yes for `make run`)
	@$(BACKUP) backup $(if $(CHECK),--check)

.PHONY: backups
backups: ## list what is kept
	@$(BACKUP) backups

.PHONY: restore
restore: ## bring a backup back (make restore SNAPSHOT=latest; FORCE=yes in place of other data)
	@FORCE='$(FORCE)' $(BACKUP) restore $(SNAPSHOT)

.PHONY: reset
reset: $(if $(LOCAL),env) ## begin anew: runs, models and versions are deleted (VERSION=1 keeps the first; LOCAL=yes, FORCE=yes)
	@VERSION='$(VERSION)' FORCE='$(FORCE)' $(if $(LOCAL),.venv/bin/python -m local.reset,./deploy/reset.sh)

.PHONY: upgrade
upgrade: ## backup, build and migrate the containers; back to the backup if that fails
	@./deploy/backup/stack.sh upgrade

.PHONY: secrets
secrets: ## write strong passwords into .env, before the first `make up`
	@./deploy/make-secrets.sh

.PHONY: team
team: ## put logins and TLS in front of the containers (make team PUBLIC_HOST=mlflow.example.org)
	@PUBLIC_HOST='$(PUBLIC_HOST)' TLS='$(TLS)' ./deploy/make-team.sh

# See that a service is in the stack that a file more in COMPOSE_FILE brings, and where that is told.
needs = @services=$$(docker compose config --services) || exit 2; grep -qx '$(1)' <<<"$$services" || \
	{ echo "make $@: no service $(1) is in this stack: $(2) tells how it comes there" >&2; exit 2; }

.PHONY: user
user: ## make or end a team's account (make user NAME=ana ROLE=reader|scientist|promoter|admin, or REMOVE=yes)
	$(call needs,accounts,docs/team.md)
	@docker compose run --rm --no-deps -T accounts python -m server.accounts \
		$(if $(REMOVE),remove '$(NAME)',add '$(NAME)' '$(ROLE)')

.PHONY: users
users: ## list a team's accounts and their roles
	$(call needs,accounts,docs/team.md)
	@docker compose run --rm --no-deps -T accounts python -m server.accounts list

.PHONY: token
token: ## make or take away a token of the API (make token NAME=ana, or REMOVE=yes)
	$(call needs,tokens,docs/team.md)
	@docker compose run --rm --no-deps -T tokens $(if $(REMOVE),remove,add) '$(NAME)'

.PHONY: tokens
tokens: ## list the names of the API's tokens
	$(call needs,tokens,docs/team.md)
	@docker compose run --rm --no-deps -T tokens list

.PHONY: gc
gc: ## delete for good, with its files, what was deleted in MLflow 30 days ago or earlier (make gc OLDER_THAN=7d)
	@docker compose run --rm --no-deps -T mlflow python -m server.with_mysql \
		mlflow gc --tracking-uri http://mlflow:5000 --older-than '$(or $(OLDER_THAN),30d)'

.PHONY: certificate
certificate: ## write root.crt, the authority that has signed a team's certificate
	$(call needs,caddy,docs/team.md)
	@docker compose cp caddy:/data/caddy/pki/authorities/local/root.crt root.crt
	@echo "certificate: written to root.crt; docs/team.md says what to do with it"

.PHONY: alarm
alarm: ## send a test alert to whom .env names (needs compose.monitoring.yml)
	$(call needs,alertmanager,docs/monitoring.md)
	@docker compose exec -T alertmanager /etc/monitoring/alarm.sh

# As for backups: of the containers, or with LOCAL=yes of `make run`. In containers the API is that of
# compose.class.yml, and class-status asks it from inside.
CLASSROOM := $(if $(LOCAL),MLFLOW_TRACKING_URI=http://127.0.0.1:$(or $(MLFLOW_PORT),5000) .venv/bin/python trainer/classroom.py,./deploy/classroom.sh)
HAND_OUT := $(or $(HAND_OUT),class.md)
API_PORT := $(or $(API_PORT),8081)

.PHONY: class
class: $(if $(LOCAL),env) ## make a place for each student, and class.md to hand out (make class STUDENTS=students.txt ADDRESS=http://room:5000 API=http://room:8080)
	@test -r '$(STUDENTS)' || { echo "make class: name a file with one student a line: STUDENTS=students.txt" >&2; exit 2; }
	@umask 077; $(CLASSROOM) --address '$(or $(ADDRESS),http://localhost:$(or $(MLFLOW_PORT),5000))' \
		--api '$(or $(API),http://localhost:$(if $(LOCAL),$(API_PORT),$(or $(SERVE_PORT),8080)))' <'$(STUDENTS)' >'$(HAND_OUT).new' \
		|| { code=$$?; rm -f '$(HAND_OUT).new'; exit $$code; }
	@# Those of before may be the only place where a password is written.
	@if [ -e '$(HAND_OUT)' ] && ! cmp -s '$(HAND_OUT)' '$(HAND_OUT).new'; then \
		mv '$(HAND_OUT)' "$(HAND_OUT).$$(date +%Y-%m-%d-%H%M%S)"; fi
	@mv '$(HAND_OUT).new' '$(HAND_OUT)' && cat '$(HAND_OUT)'

.PHONY: class-status
class-status: ## show how far each student is: runs, best figure, versions, what is in Production
	@$(CLASSROOM) --status --api '$(or $(API),$(if $(LOCAL),http://localhost:$(API_PORT),http://classificador-produtos:8080))'

.PHONY: class-api
class-api: env ## of `make run`: serve every student's model by name, at API_PORT (8081) of this machine (HOST=0.0.0.0 for others)
	@PATH="$(CURDIR)/.venv/bin:$$PATH" MLFLOW_TRACKING_URI=http://127.0.0.1:$(or $(MLFLOW_PORT),5000) \
		exec hotserve mlflow models serve -m 'models:/*/Production' -p $(API_PORT) -h $(or $(HOST),127.0.0.1) --env-manager local

.PHONY: bundle
bundle: env ## pack all that `make run` needs into one file, for a room without internet (IMAGES=yes: for `make up`, too)
	@IMAGES='$(IMAGES)' ./local/bundle.sh '$(or $(BUNDLE),bundle.tar)'

.PHONY: images
images: ## build the base images from packages, for a site without a registry
	@./deploy/offline-images/build.sh >offline.env && echo "written to offline.env; docs/offline.md says how to use it"

.PHONY: test
test: env-dev ## run the tests, in a real browser too (QUICK=yes, ARGS="tests/unit -k csv")
	@./tests/install-tools.sh
ifdef ARGS
	@.venv/bin/pytest $(ARGS)
else
	@.venv/bin/pytest --numprocesses 3 --dist loadfile tests/unit tests/e2e $(if $(QUICK),-m "not slow")
	@.venv/bin/pytest tests/compose $(if $(QUICK),-m "not slow")
endif

.PHONY: test-spark
test-spark: env-dev env-spark ## run the tests on a real Spark cluster of a master and two workers (QUICK=yes; needs Java)
	@./tests/install-tools.sh java
	@.venv/bin/pytest tests/spark $(if $(QUICK),-m "not slow") $(ARGS)

.PHONY: test-kubernetes
test-kubernetes: env-dev ## run the stack in a real cluster of one node, built from source (QUICK=yes; root, Debian, Go)
	@./tests/compose/start-engine.sh
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/pytest tests/kubernetes $(if $(QUICK),-m "not slow") $(ARGS)

.PHONY: soak
soak: env-dev ## load, promotions and killed processes for ten minutes, none may fail a request (make soak MINUTES=3 MODELS=20)
	@PYTHONPATH=.:trainer:classificador-produtos .venv/bin/python -m tests.e2e.$(if $(MODELS),soak_models --models $(MODELS),soak) --minutes $(or $(MINUTES),10)

.PHONY: mutants
mutants: env-dev ## put small faults into the code, one at a time, and count those that the unit tests see
	@.venv/bin/python tools/mutants.py $(ARGS)

.PHONY: lint
lint: env-dev ## ruff, mypy, import contracts, messages, digests of images, Kubernetes' schemas, shellcheck
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy trainer classificador-produtos local server tests benchmarks tools
	@PYTHONPATH=trainer:classificador-produtos .venv/bin/lint-imports --no-cache
	@.venv/bin/python tools/messages.py --check
	@tests/images-are-pinned.sh
	@tests/manifests-are-valid.sh
	@if command -v shellcheck >/dev/null; then git ls-files '*.sh' | xargs shellcheck; \
	else echo "shellcheck is not installed: shell scripts were not checked"; fi

.PHONY: format
format: env-dev ## let ruff mend what it can
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

.PHONY: messages
messages: env-dev ## bring the catalog of messages up to date, after a change of one; says which are to be translated
	@.venv/bin/python tools/messages.py

.PHONY: api-page
api-page: env-dev ## write the page at /docs of the API again, after a change of openapi.json
	@.venv/bin/python tools/api_page.py

.PHONY: pictures
pictures: env-dev ## take the pictures of the tutorial and of the API's page again, and the notebook's outputs
	@PICTURES=docs/images .venv/bin/pytest tests/e2e/test_tutorial.py tests/e2e/hotserve_page/test_pictures.py \
	  tests/e2e/test_notebook.py

.PHONY: slides
slides: ## write docs/slides.html of docs/slides.pt-BR.md, by Marp (needs Node.js)
	@npx --yes @marp-team/marp-cli@4.5.1 docs/slides.pt-BR.md --output docs/slides.html

.PHONY: dashboards
dashboards: env-dev ## write Grafana's dashboards again, after a change of tools/dashboards.py
	@.venv/bin/python tools/dashboards.py

.PHONY: bench-train
bench-train: env-dev ## time the ten-run sweep against one process a run
	@.venv/bin/python -m benchmarks.train

.PHONY: bench-compose
bench-compose: env-dev ## time and weigh the stack in containers
	@.venv/bin/python -m benchmarks.compose

.PHONY: bench-team
bench-team: env-dev ## time logins and TLS against the stack without (needs wrk)
	@.venv/bin/python -m benchmarks.team

.PHONY: bench-run
bench-run: env-dev ## time make run from a fresh clone, and its memory at rest
	@.venv/bin/python -m benchmarks.run

.PHONY: bench-lane
bench-lane: env-dev ## time the fast lane against scikit-learn
	@PYTHONPATH=.:trainer:classificador-produtos .venv/bin/python -m benchmarks.lane

.PHONY: bench-serve
bench-serve: env-dev ## serve three models with hotserve and with what one would take instead (needs wrk)
	@.venv/bin/python -m benchmarks.serve
	@.venv/bin/python -m benchmarks.serve_models

.PHONY: bench-registry
bench-registry: env-dev ## serve a hundred registered models with one hotserve: start, memory, p99 (needs wrk)
	@.venv/bin/python -m benchmarks.registry $(ARGS)

.PHONY: bench-class
bench-class: env-dev ## serve a class of thirty with one hotserve: memory, and a load on all at once (needs wrk)
	@PYTHONPATH=.:trainer .venv/bin/python -m benchmarks.classroom $(ARGS)

.PHONY: bench-batch
bench-batch: env-dev ## time a batch job of a million rows against one big predict
	@PYTHONPATH=.:trainer .venv/bin/python -m benchmarks.batch

.PHONY: bench-scale
bench-scale: env-dev env-spark ## time batch jobs of several sizes, here and on Spark, and training in blocks
	@./tests/install-tools.sh java
	@PYTHONPATH=.:trainer .venv/bin/python -m benchmarks.scale $(ARGS)

.PHONY: lock
lock: env ## pin the requirements again (make lock ARGS=--upgrade)
	@./local/lock.sh $(ARGS)

.PHONY: env
env: ## make the Python environment in .venv, and start nothing
	@./local/environment.sh run

.PHONY: env-spark
env-spark: env ## add Spark to it, for `batch.py --engine spark`: 490 MB, and Java is needed
	@./local/environment.sh spark

.PHONY: env-dev
env-dev:
	@./local/environment.sh dev
