# One word for each thing that one does with this project; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: help install lint test demo lock

help: ## list these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

install: $(VENV)/.installed ## make .venv from the lock, with the project in it

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	@python=$$(tests/support/find_python) || exit 1
	[ -x $(BIN)/python ] || "$$python" -m venv $(VENV)
	echo "Installing the locked packages into $(VENV) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

lint: install ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

demo: install ## run the demo (ARGS="--port 9000")
	@exec $(BIN)/sidegate demo $(ARGS)

lock: install ## write both lock files anew from pyproject.toml
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"
	compile="$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links"
	$$compile --output-file requirements.lock pyproject.toml
	$$compile --extra dev --constraints requirements.lock --output-file requirements-dev.lock pyproject.toml
