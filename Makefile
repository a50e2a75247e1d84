# Everything works from a bare clone with Python >= 3.11 and make. Setup is incremental.
PYTHON ?= python3
VENV   ?= .venv
MODELS ?= smollm2-135m,qwen2.5-coder-1.5b
PORT   ?= 8080
UP_PORT ?= 8000
BIN    := $(VENV)/bin

.PHONY: run setup test quick check fix docs bench campaign clean

run: $(VENV)/run.stamp  ## fetch two real models; start the control plane and a node that serves them
	@$(BIN)/octomil pull $(MODELS)
	@$(BIN)/octomil up --port $(UP_PORT) --node $(MODELS) --node-port $(PORT)

setup: $(VENV)/dev.stamp  ## everything needed to work on the code

test: setup  ## every test, real models included
	$(BIN)/python -m pytest

quick: setup  ## the inner loop: no model files, under two minutes
	$(BIN)/python -m pytest -m "not model and not node and not slow"

check: setup  ## lint, format, types, layers, generated docs; lists stale bench results
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	@echo "Bench results older than their code (no failure; make bench renews them):"
	@$(BIN)/python -m bench --stale || true

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## rewrite the generated parts of the documentation
	$(BIN)/python docs/generate.py

bench: setup  ## measure against real peers; writes bench/results
	$(BIN)/python -m bench

campaign: setup  ## counts in the thousands; writes bench/results
	$(BIN)/python -m bench campaign

clean:
	rm -rf $(VENV) build dist

# Installed once; again only when the declared dependencies change.
$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade -c constraints.txt pip

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Setting up $(VENV) …"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[serve,control]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Setting up $(VENV) for development …"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[serve,control,dev]'
	@touch $@ $(VENV)/run.stamp
