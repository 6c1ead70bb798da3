# One command each; every target sets up what it needs. `make help` lists them.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
# A team's Argilla without Docker, in tests/support/team_stack; options such as STACK="--home DIR --base-port N".
STACK ?=
TEAM_STACK = PYTHONPATH=tests/support $(BIN)/python -m team_stack
# Where a CPU build of torch is found: the default one for Linux brings several GB of CUDA. Where this index cannot be
# reached, pip takes what its own index has.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# Test processes side by side. Most tests wait for other processes, so use about twice as many as there are cores.
# tests/support/distribution.py says which tests come first and which stay together.
JOBS ?= 4
# A browser for the tests: the system's, else Playwright's own.
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

.PHONY: help setup browser demo test coverage quick stack stack-down stack-test thorough wheel-test lint types docs bench constraints clean

help: ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

setup: $(VENV)/.ready ## make .venv with everything in it, pinned by constraints.txt

$(VENV)/.ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found: install Python 3.11, or set PYTHON=..."; exit 1; }
	@echo "==> virtual environment in $(VENV)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "==> a CPU build of torch (about 200 MB)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --retries 1 --timeout 60 \
	  --extra-index-url $(TORCH_INDEX) --constraint constraints.txt torch
	@echo "==> argilla-loop and what it needs (194 packages, 1-3 minutes)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[embedded,demo,dev]'
	@touch $@
	@echo "==> ready"

browser: setup ## make sure there is a Chromium for the browser tests
	@if [ -z "$(CHROMIUM)" ]; then echo "==> a browser for the tests"; \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	  else $(BIN)/playwright install chromium; fi; fi

demo: setup ## the main job on real news texts: embedded Argilla, the service, an annotator, a learning curve
	$(BIN)/argilla-loop demo $(DEMO)

test: browser ## all tests
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --no-loadscope-reorder $(TESTS)

# Coverage makes the unit tests half as slow again, and sees nothing of the processes that the others start.
coverage: browser ## all tests, with the coverage of what runs in the tests' own process
	@$(MAKE) --no-print-directory test TESTS="--cov --cov-report=term $(TESTS)"

# Leaves out tests/contract and tests/service: all that needs a real Argilla, the service as a process, or a browser. Of
# tests/unit it leaves out what is marked `slow`. No coverage.
quick: setup ## the unit tests, for each change while you work
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" -q tests/unit $(TESTS)

stack: setup ## a real team's Argilla without Docker: PostgreSQL, Redis, Elasticsearch's core, server, worker; Ctrl-C ends it
	@$(TEAM_STACK) run $(STACK)

stack-down: ## end what still runs of it
	@$(TEAM_STACK) down $(STACK)

stack-test: setup ## the service on such a stack: main job, kills, outages, a lost index, the lease; writes benchmarks/stack.md
	$(BIN)/python -m pytest tests/stack --stack-report=benchmarks/stack.md $(TESTS)

# The other targets go through a part of the longest tables of tests (tests/support/thorough.py); this one through all.
thorough: browser ## the tests with long tables, with every fault, kill and random day; writes benchmarks/thorough.md
	-ARGILLA_LOOP_THOROUGH=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --no-loadscope-reorder \
	  --junitxml=.pytest_cache/thorough.xml $$(grep -l "^from thorough import" tests/service/*.py) $(TESTS)
	$(BIN)/python tests/support/thorough_report.py .pytest_cache/thorough.xml benchmarks/thorough.md

wheel-test: setup ## build the wheel, install it with constraints.txt into a fresh environment, and start from it
	ARGILLA_LOOP_FULL_INSTALL=1 TORCH_INDEX=$(TORCH_INDEX) $(BIN)/python -m pytest tests/service/test_wheel.py $(TESTS)

lint: setup ## ruff, formatting, security, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src
	$(BIN)/lint-imports

types: setup ## mypy, strict
	$(BIN)/mypy

# Without -q: it hides the warnings that strict counts. The variable turns off a notice about other software.
docs: setup ## the documentation site, in site/; a broken link ends it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: setup ## the benchmarks whose tables lie in benchmarks/
	@for script in benchmarks/*.py; do echo "==> $$script"; $(BIN)/python $$script || exit 1; done

constraints: setup ## pin what .venv holds now, after it was upgraded by hand and tested
	@{ sed -n '/^#/p' constraints.txt; $(BIN)/pip freeze --exclude-editable | sed -E 's/\+(cpu|cu[0-9]+)$$//' | sort -f; } > constraints.new
	@mv constraints.new constraints.txt

clean: ## remove what the targets above made
	@if [ -d .stack/team ] && [ -x $(BIN)/python ]; then $(TEAM_STACK) down; fi
	rm -rf .stack $(VENV) test-artifacts demo-out site .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
