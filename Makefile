# Three commands: `make demo` runs the main job offline, `make test` runs all tests.
# `make dashboard` opens the application, `make lab` the notebooks. Each installs what it needs into .venv first. On Debian and Ubuntu
# python3-venv is installed if missing, and for the tests a C compiler and Chromium.
#
#   PYTHON=python3.12 make demo        another interpreter (3.11 or newer)
#   PIP_FLAGS="--index-url ..." make   options for pip, for example a mirror, or PyTorch's CPU-only index:
#   PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu" make demo

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet $(PIP_FLAGS) -c requirements/tested.txt

.PHONY: demo dashboard lab screenshots notebooks-docs strip-notebooks test lint install clean

demo: $(VENV)/.installed
	$(BIN)/moma demo

dashboard: $(VENV)/.installed
	$(BIN)/moma dashboard

lab: $(VENV)/.installed-lab
	$(BIN)/moma lab

test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

screenshots: $(VENV)/.installed-test
	$(BIN)/python tests/dashboards/screenshots.py docs/images --home $(or $(SCREENSHOT_HOME),/tmp/moma-screenshots)

notebooks-docs: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python tests/lab/executed.py docs/notebooks

strip-notebooks: $(VENV)/.installed
	$(BIN)/python -m moma_app.lab.strip notebooks/*.ipynb

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(VENV)/.installed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "MoMa needs Python 3.11 or newer: set PYTHON=python3.11 or later."; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { echo "Installing python3-venv"; apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); }

$(VENV)/.installed: pyproject.toml requirements/tested.txt | $(BIN)/python
	@echo "Installing into $(VENV) (a few minutes the first time)"
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-lab: $(VENV)/.installed
	$(PIP) -e ".[lab]"
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@command -v cc >/dev/null || command -v gcc >/dev/null || { echo "Installing gcc, for the CPU kernels"; apt-get update -qq && apt-get install -y -qq gcc libc6-dev; }
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { echo "Installing Chromium, for the tests of the dashboard"; apt-get update -qq && apt-get install -y -qq chromium; }
	$(PIP) -e ".[test]"
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-test
	$(PIP) -e ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
