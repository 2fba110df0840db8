# make demo: the whole line on real video, from set-up to the score table.  make test: everything checked.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
READY := $(VENV)/.ready
AXE := $(VENV)/axe/package/axe.min.js
PYTEST := DFDM_OFFLINE=1 OMP_NUM_THREADS=1 pytest -q --dist loadgroup

.PHONY: help demo five-people unseen bench gpu-check browser check test test-all docs lint types setup clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) ## two people, five models, three qualities: 90 videos, scores and a report
	snakemake --cores all
	@dfdm scores

five-people: $(READY) ## five people, fifteen trainings, five classifiers with controls; two hours on two cores
	snakemake --cores all --configfile workflow/configs/five_people.yaml
	@dfdm scores --config workflow/configs/five_people.yaml

unseen: $(READY) ## ten pairs of five people, each once the test of classifiers that saw neither; hours, resumable
	snakemake --cores all --configfile workflow/configs/five_people.yaml --config scale=unseen -- attribution_unseen
	@cat ../dfdm-unseen/logs/attribution_unseen/unseen.log

check: $(READY) lint types ## lint, types and the quick tests of changed modules; all quick tests where none changed
	@tests=$$(python tests/changed.py); [ -z "$$tests" ] || $(PYTEST) -n 2 -m "not slow and not long" $$tests

test: $(READY) lint types ## lint, types and every test but the slow ones
	$(PYTEST) -n 2

test-all: test browser ## also the slow tests; DFDM_TEST_SLURM=1: on a real Slurm too (root)
	$(PYTEST) -n 2 -m slow

bench: $(READY) ## every speed and memory figure, measured on this machine; about 8 minutes
	python -m benchmarks --json results/benchmarks.json

gpu-check: ## check and time a GPU: here, or in an image with torch and the wheels of .wheels (docs/engines.md)
	@if [ -f $(READY) ]; then python -m benchmarks.gpu $(OPTIONS); \
	else "$(PYTHON)" -m benchmarks.gpu --wheels .wheels $(OPTIONS); fi

docs: $(READY) ## docs/config.md and the editor's schema, from the fields of the config
	python -m dfdm.catalogue.reference

lint: $(READY) ## ruff, import-linter, snakefmt, snakemake --lint
	ruff check --quiet .
	ruff format --check --quiet .
	@out=$$(lint-imports --no-logo) || { echo "$$out"; exit 1; }
	snakefmt --check workflow
	snakemake --lint --quiet all

types: $(READY) ## mypy
	mypy

browser: $(AXE) ## what the tests of the report in a real browser need: playwright and axe-core; Chromium must be there

$(AXE): $(READY)
	@command -v npm >/dev/null || { echo "npm is missing: install npm (Debian: apt-get install npm)."; exit 2; }
	python -m pip install --quiet -e '.[browser]'
	mkdir -p $(VENV)/axe
	cd $(VENV)/axe && tar xzf "$$(npm pack --silent axe-core@4.14.1)" package/axe.min.js
	@touch $@

setup: $(READY) ## the environment and the demo's files, by hash

$(READY): constraints.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or newer is missing: install python3 (Debian: apt-get install python3 python3-venv)."; exit 2; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv is missing: install python3-venv (Debian: apt-get install python3-venv)."; exit 2; }
	@[ -x $(VENV)/bin/python ] || "$(PYTHON)" -m venv $(VENV)
	python -m pip install --quiet -e '.[dev]'
	python -m pip install --quiet --no-deps face-alignment facenet-pytorch
	dfdm sources fetch
	@touch $@

clean: ## remove the environment and the demo's results
	rm -rf $(VENV) results .snakemake
