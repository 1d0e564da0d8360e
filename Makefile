# `make` explains itself: the text after ## is the help of a target.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
EXTRAS := ray,dask,kubernetes,docker,test-all
EXTRAS_STAMP := .venv/.installed-extras
APT := $(if $(filter 0,$(shell id -u)),apt-get,sudo apt-get)
INITDB := $(or $(shell command -v initdb),$(wildcard /usr/lib/postgresql/*/bin/initdb))
FAKETIME := $(wildcard /usr/lib/*/faketime/libfaketime.so.1)
MISSING := $(strip $(if $(shell command -v chromium),,chromium) $(if $(INITDB),,postgresql) \
	$(if $(FAKETIME),,faketime))
WITHOUT_GPU := $(if $(shell command -v nvidia-smi),,-m "not gpu")

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all reliability programs check audit bench styles golden-update prefect-yaml clean

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

setup: $(STAMP) ## make the environment in .venv, once

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "stylebatch needs Python 3.11 or newer, and $(PYTHON) is not." >&2; \
		echo "Install one and name it: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) comes without venv. On Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing into .venv; this takes some minutes the first time."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[local,dev]'
	@touch $@

demo: $(STAMP) ## stylize the sample photographs into ./demo-output
	@$(BIN)/stylebatch run deployments/samples/demo.yaml
	@$(BIN)/stylebatch run deployments/samples/generator.yaml

test: $(STAMP) ## run the tests that need no GPU and little time
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m "not slow and not gpu"

test-all: $(STAMP) programs $(EXTRAS_STAMP) ## run every test, after installing what they need
	$(BIN)/pytest $(WITHOUT_GPU) --fuzz-inputs 100000

reliability: $(STAMP) programs $(EXTRAS_STAMP) ## provoke every fault, and renew the table of docs/reliability.md
	$(BIN)/pytest -m reliability --fuzz-inputs 100000 --reliability docs/reliability.md

programs:
	@test -z "$(MISSING)" || { echo "Installing $(MISSING)" && $(APT) update -qq && \
		DEBIAN_FRONTEND=noninteractive $(APT) install -y -qq --no-install-recommends $(MISSING) >/dev/null; }

$(EXTRAS_STAMP): $(STAMP)
	@echo "Installing Ray, Dask and the worker types into .venv"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[local,dev,$(EXTRAS)]'
	@touch $@

check: $(STAMP) ## lint, format, types, import contracts, spelling
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

audit: ## look for known vulnerabilities of everything that constraints.txt pins; asks pypi.org
	@$(PYTHON) -m venv .venv/audit
	@.venv/audit/bin/python -m pip install -qq --disable-pip-version-check pip-audit
	.venv/audit/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

bench: $(STAMP) ## measure, and print the tables of docs/benchmarks.md
	@$(BIN)/python tests/benchmarks/bench_plan.py
	@$(BIN)/python tests/benchmarks/bench_overhead.py
	@$(BIN)/python tests/benchmarks/bench_optimizer.py --plot docs/images/objective.svg
	@OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_generator.py

styles: $(STAMP) ## make the pictures of docs/styles.md again, half an hour on a CPU
	@sed -n 's/^    stylebatch/stylebatch/p' docs/styles.md | PATH="$(BIN):$$PATH" sh -e

golden-update: $(STAMP) ## rewrite the golden images; say why in CHANGELOG.md
	$(BIN)/pytest tests/golden --golden-update

prefect-yaml: $(STAMP) ## write deployments/prefect.yaml again, from the catalog
	$(BIN)/python -m deployments.prefect_yaml >deployments/prefect.yaml.draft
	@mv deployments/prefect.yaml.draft deployments/prefect.yaml

clean: ## remove caches and demo-output, but not .venv
	rm -rf demo-output build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find stylecore tasks flows deployments tests -name __pycache__ -prune -exec rm -rf {} +
