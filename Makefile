# Tenon: every command of the project. `make` or `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
PORT ?= 8000
WORKERS ?= 2
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready
LINTERS := tests/contract/node_modules/.ready
FASTIFY := benchmarks/peers/fastify
FASTIFY_READY := $(FASTIFY)/node_modules/.package-lock.json
WHICH_PYTHON := import sys; print(sys.base_prefix, sys.version)
NEW_ENOUGH := const [a, b] = process.versions.node.split("."); process.exit(a * 100 + +b < 2019 ? 1 : 0)
COMPILE := $(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet pyproject.toml

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^##: / {sub("##: ", "\n"); print} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

##: Use it

.PHONY: run
run: $(READY) ## Serve the shop on 127.0.0.1:8000 (PORT=), with a database, a Redis and demo data of its own
	@exec $(BIN)/tenon dev --with-parent --port $(PORT) $(ARGS)

.PHONY: demo
demo: $(READY) ## Buy something over HTTP and tell the story, on the running server or on one of its own
	@exec $(BIN)/tenon demo $(ARGS)

.PHONY: migrate
migrate: $(READY) ## Bring the database of TENON_MIGRATION_URL up to date
	@exec $(BIN)/tenon db migrate

.PHONY: seed
seed: $(READY) ## Put the demo data into the database of TENON_MIGRATION_URL, once
	@exec $(BIN)/tenon seed

.PHONY: doctor
doctor: $(READY) ## Look at this machine, the servers and the backlog, and say how to mend what is wrong
	@exec $(BIN)/tenon doctor $(ARGS)

##: Check it

.PHONY: test
test: lint types contracts sql $(LINTERS) ## The whole truth: lint, types, contracts, SQL and every test on real servers
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

.PHONY: test-all
test-all: lint types contracts sql $(LINTERS) ## As test, and the tests that run for minutes, and how much of the code all of them reach
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -n $(WORKERS) --dist worksteal -m "" $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --fail-under=92
	@$(BIN)/coverage report --fail-under=100 --include='modules/*/domain/*,shared/domain/*'

.PHONY: bench
bench: $(READY) $(FASTIFY_READY) ## What the application costs, beside its peers; writes benchmarks/RESULTS.md (ARGS="--only reads,stack")
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: lint
lint: $(READY) ## Style and safety of the code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: $(READY) ## Types, strictly
	@$(BIN)/mypy

.PHONY: contracts
contracts: $(READY) ## The directions of imports
	@$(BIN)/lint-imports --no-logo

.PHONY: sql
sql: $(READY) ## The SQL of the migrations, as it would run
	@rm -rf .tenon/sql
	@$(BIN)/tenon db sql --into .tenon/sql
	@$(BIN)/squawk --config .squawk.toml .tenon/sql/*.sql

##: Work on it

.PHONY: setup
setup: $(READY) ## Create the virtual environment out of the hash-pinned lock

.PHONY: format
format: $(READY) ## Format the code and mend what can be mended safely
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: new-module
new-module: $(READY) ## Write a thin working module and register it (name=loyalty, thing=account for its first aggregate)
	@$(BIN)/tenon new-module "$(name)" $(if $(thing),--thing "$(thing)")

.PHONY: docs
docs: $(READY) ## Write what is generated: module map, settings reference, .env.example, event catalogue
	@$(BIN)/tenon docs

.PHONY: openapi
openapi: $(READY) ## Print the OpenAPI document
	@exec $(BIN)/tenon openapi

.PHONY: lock
lock: $(READY) ## Resolve the dependencies anew (LOCK_ARGS=--upgrade to raise them)
	@$(COMPILE) $(LOCK_ARGS) -o requirements.lock
	@$(COMPILE) $(LOCK_ARGS) --extra dev -o requirements-dev.lock

.PHONY: clean
clean: $(READY) ## Remove the development system's data; the next run begins anew
	@exec $(BIN)/tenon clean $(ARGS)

# Spectral and Redocly need Node.js; where they cannot be had, the report of the tests says in its head what it does without them.
$(LINTERS): tests/contract/package-lock.json
	@if node -e '$(NEW_ENOUGH)' > /dev/null 2>&1; then \
		cd tests/contract && npm ci --silent --ignore-scripts --no-audit --no-fund --fetch-retries=1 && touch node_modules/.ready || \
		echo "npm could not install the linters of the documentation: going on without them"; \
	fi

$(READY): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tenon needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo "Setting up .venv, once and after changes of the lock: about a minute …"
	@[ "$$($(BIN)/python -c '$(WHICH_PYTHON)' 2>&1)" = "$$($(PYTHON) -c '$(WHICH_PYTHON)')" ] || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-index --no-deps --no-build-isolation \
		--config-settings editable_mode=compat --editable .
	@touch $@

$(FASTIFY_READY): $(FASTIFY)/package-lock.json # a peer that may be absent: the benchmarks then say so
	@! command -v npm > /dev/null || npm ci --prefix $(FASTIFY) --silent --no-audit --no-fund || true
