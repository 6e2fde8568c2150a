# `make demo` and `make test` make .venv first, from constraints.txt. `make release` and `make test-floors` are for releases.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
FLOORS := .venv-floors
FLOOR_TESTS := tests/align tests/metrics tests/data tests/terms tests/test_persist.py tests/search tests/cli/test_commands.py

.PHONY: demo test test-kernels test-page docs coverage tables notebooks reliability install format release test-floors clean

demo: install
	$(BIN)/bouba demo

test: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_house.py
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup
	TRITON_INTERPRET=1 OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 tests/kernels

# The kernels of a GPU without one: by Triton's interpreter against float64, and compiled for two generations.
test-kernels: install
	TRITON_INTERPRET=1 OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 tests/kernels
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m slow tests/kernels

# The page of `bouba serve` in Debian's chromium; also part of `make test` where that is installed.
test-page: install
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/page tests/serve

# The site in site/, without a network; a warning stops it. Open site/index.html.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# Lines of src that the tests reach, and those that they do not; fails below 92%. It takes as long as `make test`.
coverage: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup --cov=bouba --cov-report=term:skip-covered --cov-report=html --cov-fail-under=92

# At most 25 minutes on two cores; docs/reliability.md is made by it.
reliability: install
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m scripts.reliability --write docs/reliability.md

# Runs the notebooks of examples/ in place, in full; a few minutes, most of it encoding that later runs find in the cache.
notebooks: install
	OMP_NUM_THREADS=1 $(BIN)/jupyter execute --inplace examples/*.ipynb
	$(BIN)/ruff format examples

# Fills the tables of README and docs from benchmarks/results, which `bouba bench all` writes.
tables: install
	$(BIN)/python scripts/tables.py

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[all,dev]"
	$(BIN)/python scripts/check_house.py --torch
	touch .venv/installed

# dist/ holds the sdist and the wheel; each is installed without extras on every Python that is here, and works there.
release: install
	$(BIN)/python scripts/release.py

# Part of the tests, with every dependency at the lowest version that pyproject.toml allows (torch: scripts/floors.py).
# test_sklearn_checks.py asks scikit-learn for what only its newer releases have.
test-floors: $(FLOORS)/installed
	OMP_NUM_THREADS=1 $(FLOORS)/bin/pytest $(FLOOR_TESTS) --ignore tests/align/test_sklearn_checks.py

$(FLOORS)/installed: pyproject.toml constraints.txt scripts/floors.py
	$(PYTHON) -m venv --clear $(FLOORS)
	$(PYTHON) scripts/floors.py search report video dev > $(FLOORS)/floors.txt
	$(FLOORS)/bin/pip install --quiet --requirement $(FLOORS)/floors.txt
	$(FLOORS)/bin/pip install --quiet --no-deps --editable .
	touch $(FLOORS)/installed

clean:
	rm -rf .venv $(FLOORS) dist runs site htmlcov .coverage
