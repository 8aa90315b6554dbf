# `make demo` and `make test` set up everything they need; `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LAB_ARGS ?= $(if $(filter 0,$(shell id -u)),--allow-root)
PYTEST_ARGS ?= -n auto --maxprocesses 4 --dist worksteal

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export NO_MKDOCS_2_WARNING := 1

# The extension of this checkout comes before any that is installed; `make` builds it itself, so pip need not.
export JUPYTER_PATH := $(CURDIR)/build/share/jupyter$(if $(JUPYTER_PATH),:$(JUPYTER_PATH))
export MLSTORE_EXTENSION ?= no

.PHONY: help demo lab test lint format bench docs extension wheel clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Set up, run the quickstart on real data, say where the result is
	$(BIN)/python scripts/demo.py build/demo

lab: $(VENV)/.demo ## Open the executed quickstart in JupyterLab
	@$(BIN)/python scripts/extension.py || [ $$? = 3 ]
	@[ -f build/demo/quickstart.ipynb ] || $(BIN)/python scripts/demo.py build/demo
	cd build/demo && $(abspath $(BIN))/jupyter lab $(LAB_ARGS) quickstart.ipynb

test: lint ## Set up (a browser and Podman too), then lint, type-check and test
	@$(BIN)/python scripts/extension.py || [ $$? = 3 ]
	@scripts/chromium $(BIN)
	@scripts/container $(BIN)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.dev ## ruff, import-linter, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev build/pixeltable/.ready ## Measure, and write the figures into docs/benchmarks.md
	$(BIN)/python tests/benchmarks/run.py docs/benchmarks.md
	$(BIN)/python tests/benchmarks/refresh.py docs/benchmarks.md
	$(BIN)/python tests/benchmarks/transforms.py docs/benchmarks.md
	$(BIN)/python tests/benchmarks/exploring.py docs/benchmarks.md
	$(BIN)/python tests/benchmarks/training.py docs/benchmarks.md
	$(BIN)/python tests/benchmarks/automl.py docs/benchmarks.md
	$(BIN)/python tests/benchmarks/isolation.py docs/benchmarks.md
	$(BIN)/python tests/benchmarks/serving.py docs/benchmarks.md
	$(BIN)/python tests/benchmarks/binding.py docs/benchmarks.md --pixeltable build/pixeltable/bin/python

# Pixeltable is measured against, in an environment of its own.
build/pixeltable/.ready: $(VENV)/.dev
	$(BIN)/python -m venv --without-pip build/pixeltable
	$(BIN)/python -m pip --python build/pixeltable/bin/python install -qq pixeltable xgboost-cpu
	touch $@

docs: $(VENV)/.dev ## Build the documentation into build/site
	$(BIN)/mkdocs build --strict

extension: $(VENV)/.demo ## Build the JupyterLab extension, where its sources are newer
	$(BIN)/python scripts/extension.py

wheel: $(VENV)/.demo ## Build the package into dist/, with the extension in it (needs Node.js)
	MLSTORE_EXTENSION=yes $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## Remove what was built, the environment too
	rm -rf build dist extension/node_modules extension/lib .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache $(VENV)

# Some systems ship Python without ensurepip; there pip itself fills the new environment.
$(VENV)/pyvenv.cfg:
	@command -v $(PYTHON) >/dev/null || { echo "'$(PYTHON)' was not found. Name a Python 3.11 or newer: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "mlstore needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version). Name another: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { \
		rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }

$(VENV)/.demo: $(VENV)/pyvenv.cfg pyproject.toml
	@echo "Installing what the demo needs into $(VENV) (some minutes the first time) …"
	$(BIN)/python -m pip install -qq --no-compile -e ".[demo]"
	@touch $@

$(VENV)/.dev: $(VENV)/pyvenv.cfg pyproject.toml
	@echo "Installing what the tests need into $(VENV) (some minutes the first time) …"
	$(BIN)/python -m pip install -qq --no-compile -e ".[dev]"
	@touch $@ $(VENV)/.demo
