# Every target sets up what it needs: only Python 3.12+, git, make and a package index are assumed.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CODE := streams indicators sandbox workers
export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_COMPILE_BYTECODE := 1

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv with everything that uv.lock pins
$(READY): pyproject.toml uv.lock
	@echo "Setting up $(VENV): everything in uv.lock (about a minute the first time) ..."
	@for python in python3.12 python3.13 python3 python; do \
	  if $$python -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' 2>/dev/null; then break; fi; python=; done; \
	if [ -z "$$python" ]; then echo "no Python 3.12 or 3.13 on PATH (.python-version names 3.12)" >&2; exit 1; fi; \
	[ -x $(BIN)/python ] || $$python -m venv $(VENV)
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^ *"\(uv[>=][^"]*\)".*/\1/p' pyproject.toml)"
	@$(BIN)/uv sync --quiet --frozen $(if $(GROUPS),$(addprefix --group ,$(GROUPS)),)
	@touch $@

demo: $(READY) ## A market, two workers and a live table, on an embedded server
	@$(BIN)/fleet demo $(ARGS)

format: $(READY) ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

check: $(READY) ## ruff, mypy --strict, stale generated files
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

test: check ## Everything that proves the product, under 8 minutes on two cores
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: help setup demo format check test
