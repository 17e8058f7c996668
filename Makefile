# make demo   segment a photograph into out/
# make test   linters, types, tests
# Both set up .venv first, once.

SHELL := bash
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
VERSIONS := 3.11 3.12 3.13

# A pyenv shim can stand for a Python that is not there, so each candidate has to run.
define FIND_PYTHON
for python in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3.13 python3 python); do \
	if "$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		>/dev/null 2>&1; then break; fi; python=; \
done; \
if [ -z "$$python" ]; then echo "segmix needs Python 3.11, 3.12 or 3.13 with venv; name one: make PYTHON=python3.11" >&2; exit 1; fi
endef

.PHONY: help demo test test-slow test-pythons pictures bench clean

help: ## say what can be made
	@grep -hE '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 16

$(STAMP): pyproject.toml segmix/__init__.py
	@$(FIND_PYTHON); echo "setting up $(VENV) with $$python (some minutes the first time)"; \
	"$$python" -m venv $(VENV)
	@$(PIP) install --editable ".[dev]"
	@touch $@

demo: $(STAMP) ## segment images/coins.png into out/
	$(BIN)/segmix segment images/coins.png -o out --overwrite --seed 1
	@echo "Look at out/coins/overlay.png (the outlines), fit.png (the mixture) and summary.json (the numbers)."

test: $(STAMP) ## linters, types and the quick tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -m "not slow"

test-slow: $(STAMP) ## the slow tests
	$(BIN)/pytest -m slow

test-pythons: ## the quick tests on every Python found, 3.11 to 3.13, each in its own environment
	@summary=; failed=0; for version in $(VERSIONS); do \
		for python in python$$version $$HOME/.pyenv/versions/$$version.*/bin/python$$version; do \
			if "$$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then break; fi; python=; \
		done; \
		if [ -z "$$python" ]; then summary+="$$version  not found\n"; continue; fi; \
		if $(MAKE) --no-print-directory VENV=.venv-$$version PYTHON=$$python .venv-$$version/.installed \
			&& .venv-$$version/bin/pytest -q -m "not slow"; \
		then summary+="$$version  passed\n"; else summary+="$$version  FAILED\n"; failed=1; fi; \
	done; printf "\n$$summary"; exit $$failed

pictures: $(STAMP) ## the pictures of the README
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(BIN)/segmix segment images/coins.png --preprocess gaussian:1 --preprocess background:50 -o "$$folder" --seed 1 -q && \
	$(BIN)/segmix segment images/tissue.png -k 3 -o "$$folder" --seed 1 -q && \
	cp "$$folder/coins/overlay.png" docs/images/coins_overlay.png && \
	cp "$$folder/tissue/fit.png" docs/images/tissue_fit.png && \
	$(BIN)/segmix lecture -o "$$folder/lecture" -q && cd "$$folder/lecture" && \
	for name in prior model trace_500 trace_all after thinned bad_guesses picture assignments; do \
		if [ -f *_$$name.png ]; then cp *_$$name.png "$(CURDIR)/docs/images/lecture_$$name.png"; fi; done

bench: $(STAMP) ## the figures of the README
	@$(PIP) install --editable ".[bench]"
	$(BIN)/python benchmarks/run.py

clean: ## delete what was made
	rm -rf .venv .venv-3.* out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find segmix cli tests benchmarks -name __pycache__ -type d -exec rm -rf {} +
