PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help setup demo test neighbors check wheel clean
help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP)  ## a virtual environment in .venv with everything in it
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("python >= 3.11 is needed, found " + sys.version.split()[0] + "; give another one with make PYTHON=..." if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo 'this python cannot make virtual environments; on Debian or Ubuntu: apt install python3-venv'; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade pip
	@if $(BIN)/python -m pip install -q uv && $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -e '.[dev]'; then :; \
	else echo 'uv is not usable here, falling back to pip'; $(BIN)/python -m pip install -q -e '.[dev]'; fi
	$(BIN)/python -m pip check
	touch $@

demo: $(STAMP)  ## set up, then the whole chain on the embedded world: tune, generate, benchmark, table, report
	@echo 'The embedded world: rendered cars, small models. A demonstration of the chain, not a result about photos.'
	$(BIN)/python -m ssl_aug.generate --per-sample 10 experiment=demo
	$(BIN)/python -m benchmarks.run --multirun experiment=demo method=erm,fixmatch augment=false,true runs=outputs/demo
	$(BIN)/python -m benchmarks.table --runs outputs/demo
	$(BIN)/python -m ssl_aug.report experiment=demo runs=outputs/demo

test: $(STAMP)  ## set up, then all tests
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal --ignore tests/chain/neighbors

neighbors: $(STAMP)  ## install the libraries that read our exports, and read them
	$(BIN)/python -m pip install -q -e '.[neighbors,cluster]'
	$(BIN)/python -m pip install -q --no-deps --upgrade --target $(VENV)/neighbors semilearn==0.3.2 progress ruamel.yaml
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m neighbors tests/chain/neighbors

check: $(STAMP)  ## style, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: $(STAMP)  ## build the wheel and try it in a fresh environment, from another folder
	sh tests/chain/wheel.sh $(abspath $(BIN))

clean:  ## remove the virtual environment and build leftovers
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
