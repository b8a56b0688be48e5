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
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check "$$(sed -n 's/^ *"\(uv[>=][^"]*\)".*/\1/p' pyproject.toml)"
	@$(BIN)/uv sync $$([ -t 2 ] || echo --quiet) --frozen --all-groups
	@touch $@

demo: $(READY) ## A market, two workers and a live table, on an embedded server
	@$(BIN)/fleet demo $(ARGS)

format: $(READY) ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

check: $(READY) ## ruff, mypy --strict, stale generated files
	@echo "Checking style, types and generated files ..."
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check . && $(BIN)/mypy && $(BIN)/python -m helm.generate --check
	@$(BIN)/python -m indicators.reference --check docs/reference
	@$(BIN)/python -m indicators.differences | cmp --silent - docs/differences.md || { echo "docs/differences.md is stale: run make docs" >&2; exit 1; }

docs: $(READY) ## Write what is made from definitions: the reference with its plots, differences, the chart's README
	@$(BIN)/python -m indicators.reference --write docs/reference
	@$(BIN)/python -m indicators.differences > docs/differences.md
	@$(BIN)/python -m helm.generate

test: check ## Everything that proves the product, under 10 minutes on two cores
	@echo "Testing: real servers, real processes (a few minutes; kernels compile the first time) ..."
	@$(BIN)/python -m workers.warm
	@$(BIN)/python -m pytest --numprocesses $$(nproc) --dist worksteal $(ARGS)

soak: $(READY) ## Load, scaling and fuzzing for minutes
	@$(BIN)/python -m pytest -m soak $(ARGS)
	@$(BIN)/python -m tests.sandbox.fuzz --seconds 60

bench: $(READY) ## Every speed claim, beside its peers in the same run
	@for bench in engine catalogue bars streams fleet simulation sandbox; do echo "== $$bench"; $(BIN)/python -m benchmarks.$$bench $(ARGS) || exit 1; done

helm-check: $(READY) ## Lint, render and validate the chart
	@$(BIN)/python -m helm.generate --check && $(BIN)/python -m pytest tests/helm $(ARGS)

image: ## Build the container image with whichever builder is there
	@for builder in docker podman buildah; do \
	  if command -v $$builder >/dev/null && $$builder info >/dev/null 2>&1; then \
	    exec $$builder build -t signalfleet:$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -1) $(ARGS) .; \
	  fi; done; echo "no docker, podman or buildah here" >&2; exit 1

.PHONY: help setup demo format check docs test soak bench helm-check image
