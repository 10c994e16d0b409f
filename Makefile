# Everything there is to do here. It needs make and python3 (>= 3.11, with its venv module), and brings the rest.
#
#   make serve ARGS="--port 9000"      make test ARGS="-k turn"      make serve PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
UV = $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
INSTALL = $(UV) pip install --quiet --python $(BIN)/python
LOCK = $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url $(ARGS)
PINS := requirements

# What the tape is measured beside has a plugin that ours steps aside for, so it lives apart.
BENCH_VENV := .venv-bench

# JavaScript that the tests drive. A Node that is too old for it is no hindrance: one of the packages brings another.
CLIENTS := tests/clients

.PHONY: help setup serve test test-clients lint format docs bench bench-tools bench-retrieval bench-index bench-tape lock clean

help: ## This list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.runtime ## Bring what the server needs into .venv, and the antiphon command.

serve: setup ## Start the server on 127.0.0.1:8321.
	@exec $(BIN)/antiphon serve $(ARGS)

test: setup $(VENV)/.test ## Run all tests.
	$(BIN)/python -m pytest -n logical --maxprocesses 8 $(ARGS)

test-clients: setup $(VENV)/.test ## Run real clients and servers of the JavaScript world against ours. Needs npm.
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory .clients; \
	else echo "There is no npm, so the JavaScript clients are not tested. Install Node.js (20 or later) for them."; fi

.PHONY: .clients
.clients: $(CLIENTS)/node_modules/.installed
	$(BIN)/python -m pytest $(CLIENTS) $(ARGS)

lint: setup $(VENV)/.test $(VENV)/.lint ## Run the linters, the type checker and the contract of the floors.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.lint ## Put the code into its one form.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup $(VENV)/.test ## Write the pages that are made from the code.
	$(BIN)/python -m antiphon.config.reference
	$(BIN)/python -m antiphon.wire.parameters > docs/parameters.md
	$(BIN)/python -m tests.coverage > docs/coverage.md

bench: setup $(VENV)/.test ## Measure, against a plain byte forwarder.
	$(BIN)/python -m bench $(ARGS)

bench-tools: setup $(VENV)/.test ## Measure what calling tools costs.
	$(BIN)/python -m bench.tools $(ARGS)

bench-retrieval: setup $(VENV)/.test ## Measure how well vector stores find what is asked for.
	$(BIN)/python -m bench.retrieval $(ARGS)

bench-index: setup $(VENV)/.test ## Measure what the index of vector stores costs, on both databases.
	$(BIN)/python -m bench.index $(ARGS)

bench-tape: ## Measure the tape, beside vcrpy and pytest-recording.
	@$(MAKE) --no-print-directory VENV=$(BENCH_VENV) $(BENCH_VENV)/.bench-tape
	$(BENCH_VENV)/bin/python -m bench.tape $(ARGS)

lock: $(VENV)/.made ## Pin every requirement anew; with ARGS=--upgrade, at its newest version.
	$(LOCK) $(PINS)/uv.in -o $(PINS)/uv.txt
	$(LOCK) pyproject.toml -o $(PINS)/runtime.txt
	$(LOCK) --group test -c $(PINS)/runtime.txt -o $(PINS)/test.txt
	$(LOCK) --group lint -c $(PINS)/runtime.txt -c $(PINS)/test.txt -o $(PINS)/lint.txt
	$(LOCK) $(PINS)/build.in -c $(PINS)/runtime.txt -c $(PINS)/test.txt -c $(PINS)/lint.txt -o $(PINS)/build.txt
	$(LOCK) $(PINS)/bench-tape.in -c $(PINS)/runtime.txt -c $(PINS)/test.txt -c $(PINS)/lint.txt -o $(PINS)/bench-tape.txt

clean: ## Remove .venv and the caches; data stays.
	rm -rf $(VENV) $(BENCH_VENV) $(CLIENTS)/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# Each stamp says that its part of .venv is as its requirements want it.

$(VENV)/.made: $(PINS)/uv.txt
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or later, or name it: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module. Install it (Debian, Ubuntu: apt install python3-venv) and try again." >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) -V 2>&1)."
	@$(PYTHON) -m venv --clear $(VENV)
	@command -v uv >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(PINS)/uv.txt
	@touch $@

$(VENV)/.runtime: $(VENV)/.made $(PINS)/runtime.txt $(PINS)/build.txt pyproject.toml src/antiphon/__init__.py
	@echo "Installing Antiphon and what it runs on."
	@$(INSTALL) --require-hashes -r $(PINS)/runtime.txt -r $(PINS)/build.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.runtime $(PINS)/test.txt
	@echo "Installing what the tests need."
	@$(INSTALL) --require-hashes -r $(PINS)/test.txt
	@touch $@

$(CLIENTS)/node_modules/.installed: $(CLIENTS)/package.json $(CLIENTS)/package-lock.json
	@echo "Installing the JavaScript clients."
	@cd $(CLIENTS) && npm ci --loglevel=error --no-progress $$(node -e 'process.exit(+(parseInt(process.versions.node) < 22))' && echo --omit=optional)
	@touch $@

$(VENV)/.lint: $(VENV)/.runtime $(PINS)/lint.txt
	@echo "Installing the linters."
	@$(INSTALL) --require-hashes -r $(PINS)/lint.txt
	@touch $@

$(VENV)/.bench-tape: $(VENV)/.runtime $(PINS)/bench-tape.txt
	@echo "Installing what the tape is measured beside."
	@$(INSTALL) --require-hashes -r $(PINS)/bench-tape.txt
	@touch $@
