# One word for each thing that one does with this project; `make help` lists them. Each does first what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
# Some environments forbid Python to keep what it compiled. Then each of the hundreds of processes that a run of the tests
# starts compiles all of proxy/ anew, half a second each, and each pytest all of tests/, which is longer than the rest of
# its collecting; `make bench` would measure the compiler. Empty means no; __pycache__/ is in .gitignore.
export PYTHONDONTWRITEBYTECODE :=
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# How often what failed may be tried, alone.
TRIES ?= 1
# No socket, no clock: what must hold on every Python that we promise.
PURE := $(wildcard tests/core)
# Without what conftest.py brings and the plugins that the file of settings is for.
LEAN := --noconftest -p tests.support.hypothesis_profile -W ignore::pytest.PytestConfigWarning
LEAN += -o addopts="--strict-markers --import-mode=importlib"
FURTHER_PYTHONS := 3.12 3.13
# Processes that share the tests: most of them wait for other processes most of the time, so more than two cores have.
SIDE_BY_SIDE ?= 4
# Tests that measure time, or leave none for others.
ALONE := tests/benchmarks tests/faults $(addprefix tests/streams/test_, drain.py ends.py slow_clients.py)

.PHONY: help install lint collect test pure bench demo licences audit lock system-packages
.PHONY: $(FURTHER_PYTHONS:%=test-pure-%)

help: ## list these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

install: $(VENV)/.installed ## make .venv from the lock, with the project in it

define install_with_python
@python=$$(tests/support/find_python $(1)) || exit 1
[ -x $(@D)/bin/python ] || "$$python" -m venv $(@D)
echo "Installing the locked packages into $(@D), which takes about a minute ..."
pip="$(@D)/bin/python -m pip install --quiet --disable-pip-version-check"
$$pip --require-hashes -r requirements-dev.lock
$$pip --no-deps --no-build-isolation --editable .
touch $@
endef

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	$(call install_with_python)

# The pure parts need neither the project's own packages nor most of the tools.
$(VENV)-%/.pure: requirements-pure.lock
	@python=$$(tests/support/find_python $*) || exit 1
	[ -x $(@D)/bin/python ] || "$$python" -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-pure.lock
	touch $@

lint: install ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# The first to read a test compiles it, which is longer than to read it: once here, or in each process that shares them.
collect: install ## read every test and run none
	@$(BIN)/pytest --collect-only -q | grep -v ::

test: install system-packages ## the whole suite, or a part: make test ARGS="tests/core -k cookies"
	@$(if $(ARGS),exec $(BIN)/pytest $(ARGS))
	# Who runs beside whom says tests/conftest.py. Both parts run, whatever the first finds; but only failed tests (1) may
	# be tried again: a run that broke off (2 and above) has said nothing of the tests that it did not reach.
	failed=0
	part() { code=0; $(BIN)/pytest "$$@" || code=$$?; [ $$code -le 1 ] || exit $$code; }
	part -q -n $(SIDE_BY_SIDE) --dist loadgroup $(ALONE:%=--ignore=%); failed=$$code
	part -q $(ALONE); [ $$code -eq 0 ] || failed=1
	for try in $$(seq 2 $(TRIES)); do
	  [ $$failed -ne 0 ] || break
	  echo "Try $$try of $(TRIES), and alone, for what failed:"
	  part --last-failed --last-failed-no-failures none -rA --show-capture=no
	  failed=$$code
	  [ $$failed -ne 0 ] || echo "The tests above did not pass at their first try: they are not steady."
	done
	$(MAKE) --no-print-directory pure || failed=1
	exit $$failed

pure: $(FURTHER_PYTHONS:%=test-pure-%) ## what must hold on every Python, on the further ones

$(FURTHER_PYTHONS:%=test-pure-%): test-pure-%:
	@if ! tests/support/find_python $* >/dev/null; then
	  echo "Python $* is not here; the pure parts are not tested on it."
	elif [ -n "$(PURE)" ]; then
	  $(MAKE) --no-print-directory $(VENV)-$*/.pure
	  echo "The pure parts on Python $*:"
	  $(VENV)-$*/bin/python -m pytest -q -p no:cacheprovider $(LEAN) $(PURE)
	fi

system-packages:
	@tests/support/system_packages

# Sidegate as its users have it. The tools of development and an editable install cost time and memory at every start,
# and a Python that was compiled at home is a fifth slower than those of the distributions and of images, which are
# built by their profile.
$(VENV)-run/.packages: requirements.lock
	@python=$$(PYTHON=$${PYTHON:-/usr/bin/python3} tests/support/find_python 2>/dev/null || tests/support/find_python) || exit 1
	"$$python" -m venv --clear $(@D)
	echo "Installing what users have into $(@D), which takes half a minute ..."
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

# From a copy: a build leaves its folders beside the sources.
$(VENV)-run/.installed: $(VENV)-run/.packages pyproject.toml README.md $(shell find proxy -type f -not -name '*.pyc') | install
	@copy=$$(mktemp -d)
	cp -r pyproject.toml README.md proxy "$$copy"
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$$copy" "$$copy"
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$$copy"/*.whl
	rm -r "$$copy"
	touch $@

bench: install $(VENV)-run/.installed ## CPU, latency, memory beside the peers; in short: make bench ARGS="--quick"
	@benchmarks/system_packages
	SIDEGATE=$(VENV)-run/bin/sidegate $(BIN)/python -m benchmarks $(ARGS)

# The demo needs neither the tools of the tests nor the project installed.
$(VENV)/.runtime: requirements.lock
	@python=$$(tests/support/find_python) || exit 1
	[ -x $(BIN)/python ] || "$$python" -m venv $(VENV)
	echo "Installing the locked packages into $(VENV), which takes half a minute ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

demo: $(VENV)/.runtime ## run the demo; ARGS="--port 9000"
	@exec $(BIN)/python -m proxy demo $(ARGS)

licences: install ## write docs/licences.md anew from the lock
	@$(BIN)/python -m tests.support.licences > docs/licences.md.new && mv docs/licences.md.new docs/licences.md

# Strict: where its data cannot be had, it would else say that nothing is known.
audit: install ## ask for known vulnerabilities of what is locked; needs the network
	@$(BIN)/uv tool run pip-audit --requirement requirements.lock --require-hashes --disable-pip --strict $(ARGS)

lock: install ## write the lock files anew from pyproject.toml
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"
	compile="$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes"
	compile="$$compile --no-emit-index-url --no-emit-find-links"
	$$compile --output-file requirements.lock pyproject.toml
	$$compile --extra otel --constraints requirements.lock --output-file requirements-otel.lock pyproject.toml
	$$compile --extra dev --constraints requirements-otel.lock --output-file requirements-dev.lock pyproject.toml
	printf 'setuptools>=77\n' | $$compile --constraints requirements-dev.lock --output-file requirements-build.lock -
	printf 'hypothesis\nmsgspec\npytest\n' | $$compile --constraints requirements-dev.lock --output-file requirements-pure.lock -
