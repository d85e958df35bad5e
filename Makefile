# The whole set-up: a virtual environment in .venv with pinned versions, then the demo or the tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2
# One thread per worker: two cores are used by two test processes, not by four threads that wait for each other.
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1

.PHONY: demo test slow lint types bench clean

demo: $(READY)
	OMP_NUM_THREADS=2 MKL_NUM_THREADS=2 $(BIN)/brainreel demo

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not gpu"

slow: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS)

lint: $(READY)
	$(BIN)/ruff check src tests && $(BIN)/ruff format --check src tests && $(BIN)/lint-imports

types: $(READY)
	$(BIN)/pyright

bench: $(READY)
	$(BIN)/brainreel bench metrics

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
