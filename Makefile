# Each target makes the virtual environment if there is none.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check docs bench slow clean

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	touch .venv/ready

demo: .venv/ready
	$(BIN)/trainwell fit digits --budget 60s

test: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 -m 'not slow'

slow: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 -m slow

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/ready
	$(BIN)/mkdocs build --strict

bench: .venv/ready
	$(BIN)/python benchmarks/claims.py
	$(BIN)/python benchmarks/epoch.py
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/fashion.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/transfer.py --only fit logistic

clean:
	rm -rf .venv site build .mypy_cache .ruff_cache .pytest_cache
