# `make` or `make help` lists the targets. PYTHON chooses the interpreter of a new .venv (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -q
UV_COMPILE := $(BIN)/uv pip compile --generate-hashes --universal --python-version 3.11 \
  --custom-compile-command "make lock" -q

# What the shell says to Python and pytest themselves acts before any of our code runs. ARGS is for pytest's options.
unexport $(filter-out PYTHON,$(filter PYTHON% PYTEST_%,$(.VARIABLES)))

.DEFAULT_GOAL := help
.PHONY: help install demo run test e2e kind check lint types imports format proto manifests golden sbom bench bench-quick soak lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Make .venv from requirements.lock (the other targets do what they need of it)

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; point PYTHON at one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || \
	  { echo "cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(STAMP): requirements.lock dev/link.py | $(VENV)/bin/pip
	@echo "Installing into $(VENV) (once, and again when requirements.lock changes) ..."
	@$(PIP) --require-hashes -r requirements.lock
	@$(BIN)/python -I dev/link.py
	@touch $@

$(DEV_STAMP): requirements-dev.lock $(STAMP)
	@echo "Installing what tests and checks need into $(VENV) (once, and again when requirements-dev.lock changes) ..."
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(STAMP) ## Run the whole system and 24 jobs through it; exits 0 if each ended as it should
	@$(BIN)/python -m dev demo

# The SDKs are not in the small install: another provider than local, or another database than SQLite, needs the large one.
run: $(if $(filter-out local,$(BATCH_PROVIDER))$(filter-out sqlite,$(DB_PROVIDER)),$(DEV_STAMP),$(STAMP)) ## Run the whole system until Ctrl-C; BATCH_PROVIDER=gcp, aws, azure or kubernetes: on a stand-in
	@$(BIN)/python -m dev run

test: $(DEV_STAMP) ## Run the tests; ARGS="-k name" narrows them
	@$(BIN)/python -m pytest $(ARGS)

check: lint types imports ## Lint, types and import contracts

lint: $(DEV_STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/hadolint Dockerfile

types: $(DEV_STAMP)
	@$(BIN)/mypy

imports: $(DEV_STAMP)
	@$(BIN)/lint-imports

format: $(DEV_STAMP) ## Format the code
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

proto: $(DEV_STAMP) ## Generate api/gen from the .proto
	@$(BIN)/python -m api.proto.generate

# KUBECONFIG here, or in the environment, is the cluster's; pytest itself must not see one by chance.
e2e: $(DEV_STAMP) ## Run the end-to-end suite on a cluster: KUBECONFIG=FILE; E2E_PROVIDER=kubernetes, E2E_DATABASE=postgres
	@$(if $(KUBECONFIG),E2E_KUBECONFIG="$$($(BIN)/python -c 'import os; print(os.path.abspath(os.environ["KUBECONFIG"]))')") \
	  $(BIN)/python -m pytest -rs tests/cluster $(if $(KUBECONFIG),tests/manifests) $(ARGS)

kind: $(DEV_STAMP) ## Install the chart on a kind cluster and run the suite against it; KEEP=1 keeps the cluster
	@$(BIN)/python -m dev.kind

manifests: $(DEV_STAMP) ## Make what is derived: the CRD's descriptions, the tables of its page, the chart's README, manifests/install.yaml
	@$(BIN)/python -m dev.manifests

golden: $(DEV_STAMP) ## Write what each service is sent for the specs in tests/controller/providers/real_specs; review the difference
	@$(BIN)/python -m tests.controller.providers.golden

sbom: $(DEV_STAMP) ## Write what the image is made of to sbom.cdx.json (CycloneDX); each image has its own in /opt/jennah
	@$(BIN)/cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml -o sbom.cdx.json requirements-image.lock

bench: $(DEV_STAMP) ## Measure all (25 min), or ARGS="life --jobs 500"; results go to bench/results
	@$(BIN)/python -m dev.bench $(ARGS)
	@test -n "$(ARGS)" || for part in api record gcp aws azure failover; do $(BIN)/python -m dev.bench.$$part || exit; done

bench-quick: $(DEV_STAMP) ## Measure a small life (30 s); fails where ratios are less than half of those in bench/results
	@$(BIN)/python -m dev.bench quick

soak: $(DEV_STAMP) ## Break everything for an hour (SOAK_SECONDS=600: ten minutes), and compare all ledgers; bench/results/soak.json
	@$(BIN)/python -m dev.chaos --soak $(or $(SOAK_SECONDS),3600)

lock: $(DEV_STAMP) ## Refresh the lock files from pyproject.toml
	@$(UV_COMPILE) pyproject.toml --upgrade --group dev --all-extras -o requirements-dev.lock
	@$(UV_COMPILE) pyproject.toml --group demo -c requirements-dev.lock -o requirements.lock
	@$(UV_COMPILE) pyproject.toml --all-extras -c requirements-dev.lock -o requirements-image.lock
	@$(UV_COMPILE) --group pyproject.toml:build -c requirements-dev.lock -o requirements-build.lock

clean: ## Remove what was made: .venv, caches and the state in .jennah
	@rm -rf $(VENV) .jennah sbom.cdx.json .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
