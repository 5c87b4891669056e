PYTHON ?= python3
VENV_PYTHON := .venv/bin/python
INSTALL = $(PYTHON) tools/install.py
.DEFAULT_GOAL := help

# Stamps: each appears once its packages are installed, and is older than a requirement file that has changed since.
APP_READY := .venv/.app-ready
DEV_READY := .venv/.dev-ready

# TORCH=cpu installs PyTorch's CPU builds before the rest.
PRE_REQUIREMENTS := $(if $(filter cpu,$(TORCH)),pre-requirements.txt)

# Make hands these on to app.py, from its command line or the environment; an empty one counts as left out.
SETTINGS := HOST PORT GAN_CHECKPOINTS GAN_DATA GAN_DEVICE GAN_SHARED GAN_PRESENTER_KEY GAN_SECRET \
	GAN_ACTIVE_RUNS GAN_WAITING_RUNS GAN_RUNS_PER_VISITOR GAN_MINUTES_PER_RUN GAN_UPLOAD_MEGABYTES GAN_DISK_MEGABYTES
unexport $(foreach name,$(SETTINGS),$(if $($(name)),,$(name)))

.PHONY: help demo test test-long check bench clean FORCE

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo "  ARGS=... reaches the program each target starts; demo also takes"
	@echo "  the settings of docs/deploy.md, and TORCH=cpu for PyTorch without CUDA"

demo: $(APP_READY) ## install what the page needs, start it and print its address
	@$(VENV_PYTHON) -u app.py $(ARGS)

test: $(DEV_READY) ## run the tests, all but the long ones (installs a browser if there is none)
	@sh tools/browser.sh
	$(VENV_PYTHON) -m pytest -m "not long" $(ARGS)

test-long: $(DEV_READY) ## run the tests that take minutes
	@sh tools/browser.sh
	$(VENV_PYTHON) -m pytest -m long $(ARGS)

check: $(DEV_READY) ## check format, lint, types and the imports between modules
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m mypy
	$(VENV_PYTHON) .venv/bin/lint-imports --no-logo

bench: $(DEV_READY) ## run the benchmarks
	$(VENV_PYTHON) -m benchmarks $(ARGS)

clean: ## remove .venv, caches and test output; saved models and the data set stay
	rm -rf .venv/bin .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .gradio test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An installation that was cut short, or a Python that is gone, makes the stamps worthless.
VENV_BROKEN := $(shell test -x $(VENV_PYTHON) && test ! -e .venv/.unfinished || echo FORCE)

$(APP_READY): requirements.txt $(PRE_REQUIREMENTS) $(VENV_BROKEN)
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: install Python 3.11 or newer," \
		"or name one with PYTHON=/path/to/python3" >&2; exit 1; }
	@$(INSTALL) $(PRE_REQUIREMENTS) requirements.txt
	@touch $@

$(DEV_READY): $(APP_READY) requirements-dev.txt
	@$(INSTALL) requirements-dev.txt
	@touch $@
