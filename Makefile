# `make demo` and `make test` set up what they need: a .venv with the locked packages. Needs Python 3.11+ and GNU make.

VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo serve test lint types floors page tests bench bench-solver setup setup-dev lock clean

# Locked packages come as wheels whose hash is known; nothing is compiled on the user's machine.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCKED := install --require-hashes --no-deps --only-binary :all:
# What the page is built from; a change builds it again.
PAGE := $(shell find web -name node_modules -prune -o -type f -print)
# A name of one's own for the interpreter: make demo PYTHON=/opt/python3.12/bin/python3
PYTHON ?=

help:
	@echo "make demo           the whole chain for Lithuania, left in demo/lithuania"
	@echo "make serve          the page of that study in a browser (made first where it is missing)"
	@echo "make test           lint, types, floors, the page and tests"
	@echo "make bench [NAME=x] every benchmark, or those whose name holds x"
	@echo "make bench-solver   the solver on published families beside HiGHS"
	@echo "make lock           new versions and hashes in requirements/*.txt"
	@echo "make clean          removes .venv, caches, builds and demo/"

demo: setup
	$(BIN)/abatis demo demo/lithuania

serve: setup
	@test -d demo/lithuania || $(BIN)/abatis demo demo/lithuania
	$(BIN)/abatis serve demo/lithuania

test: lint types floors page tests

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-dev
	$(BIN)/mypy

floors: setup-dev
	$(BIN)/lint-imports

# Types of the page and its words; the package build above has installed what web/ needs.
page: setup-dev
	$(BIN)/python hatch_build.py

# PYTEST adds arguments: make tests PYTEST="tests/test_house.py -x"; WORKERS=0 runs all in one process
WORKERS ?= 2
tests: setup-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST)

bench: setup-dev
	$(BIN)/python benchmarks/run.py $(NAME)

# make bench-solver NAME=wood SEEDS=5 LIMIT=60 PEER_LIMIT=600 FULL=1 DOCS=1; every word may be left out
bench-solver: setup-dev
	$(BIN)/python benchmarks/bench_solver.py $(NAME) $(SEEDS:%=--seeds %) $(LIMIT:%=--limit %) $(PEER_LIMIT:%=--peer-limit %) $(FULL:%=--full) \
	  $(DOCS:%=--docs)

setup: $(VENV)/.abatis
setup-dev: $(VENV)/.abatis $(VENV)/.dev

$(VENV)/.made:
	@found=""; \
	for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    found="$$candidate"; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "abatis needs Python 3.11 or newer; here: $$($(or $(PYTHON),python3) --version 2>&1 || true)" >&2; \
	  echo "Install a newer one, or name it: make $(or $(MAKECMDGOALS),demo) PYTHON=/path/to/python3" >&2; \
	  exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$found" --version) (once, some minutes)"; \
	"$$found" -m venv --clear $(VENV) || { \
	  echo "This Python has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.run: requirements/run.txt requirements/build.txt | $(VENV)/.made
	$(PIP) $(LOCKED) -r requirements/run.txt -r requirements/build.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(PIP) $(LOCKED) -r requirements/dev.txt
	@touch $@

# The project itself, by reference to src: a change in the code needs no new set-up.
$(VENV)/.abatis: pyproject.toml hatch_build.py src/abatis/__init__.py $(PAGE) $(VENV)/.run
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

COMPILE := cd requirements && ../$(BIN)/python -m piptools compile --quiet --upgrade --generate-hashes --no-header \
  --no-annotate --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
  --no-emit-options

# Locked on the oldest Python that abatis supports, so that every newer one finds versions it can run.
lock: setup-dev
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "make lock needs a .venv of Python 3.11: make clean, then make lock PYTHON=python3.11" >&2; exit 1; }
	$(COMPILE) --output-file run.txt run.in
	$(COMPILE) --output-file dev.txt run.in dev.in
	$(COMPILE) --output-file build.txt build.in

clean:
	rm -rf $(VENV) demo dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
