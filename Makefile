# `make` or `make help` lists the targets. PYTHON chooses the interpreter of a new .venv (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo run test check lint types imports format proto lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Make .venv from the lock file (the other targets do it for you)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; point PYTHON at one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV) || \
	  { echo "cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing into $(VENV) (once, and again when requirements.lock changes) ..."
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip install -q --require-hashes -r requirements.lock
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Run the whole system and 24 jobs through it; exits 0 if each ended as it should
	@$(BIN)/python -m dev demo

run: $(STAMP) ## Run the whole system until Ctrl-C
	@$(BIN)/python -m dev run

test: $(STAMP) ## Run the tests; ARGS="-k name" narrows them
	@$(BIN)/pytest $(ARGS)

check: lint types imports ## Lint, types and import contracts

lint: $(STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

imports: $(STAMP)
	@$(BIN)/lint-imports

format: $(STAMP) ## Format the code
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

proto: $(STAMP) ## Generate api/gen from the .proto
	@$(BIN)/python -m api.proto.generate

lock: $(STAMP) ## Refresh requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --group dev --generate-hashes --universal --python-version 3.11 \
	  --custom-compile-command "make lock" --upgrade -q -o requirements.lock

clean: ## Remove what was made: .venv, caches and the state in .jennah
	@rm -rf $(VENV) .jennah .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
