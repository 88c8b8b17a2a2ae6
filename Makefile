# Two commands on a machine with Python 3.11+ and make: `make demo`, `make test`. Each sets up what it needs, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo test check lint types pytest panel bench lock bundle clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    a small simulated county: sets up, trains, runs a month, says where the lists lie"
	@echo "make test    lint, types, layers, pinned versions and advisories, tests"
	@echo "make panel PANEL=DIR    the Argentine household panel, to a ranked list and through its scorer (REFITS=1: refitted each quarter too)"
	@echo "make bench   small benchmarks     make lock    renew the pinned versions in constraints.txt"
	@echo "make bundle  all wheels for a machine without network, into dist/fpml-bundle.tar"

setup: $(READY)

# A half-made environment is never taken for a whole one: the stamp is written last.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("fpml needs Python 3.11 or newer; this is %d.%d" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) (a few minutes the first time) ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev,notebooks]'
	@touch $@

demo: setup
	@$(BIN)/python examples/demo/run.py

# What takes a second stops at once; types and advisories are looked through while tests run.
test: lint
	@$(MAKE) --no-print-directory -j 2 types pytest || { echo "make test: failed; *** above names what did (types or pytest)"; exit 2; }

check: lint types

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/audit.py

# In the order of their names: else files with many tests come first, and the few that take minutes last, one after the other.
pytest: setup
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

panel: setup
	@test -n "$(PANEL)" || { echo "Say where the panel lies: make panel PANEL=DIR"; exit 2; }
	@$(BIN)/python examples/argentina/panel.py "$(PANEL)" $(if $(REFITS),--refits)

bench: setup
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/histories.py
	$(BIN)/python benchmarks/county.py
	$(BIN)/python benchmarks/ledger.py
	$(BIN)/python benchmarks/simulate.py
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/intake.py
	$(BIN)/python benchmarks/intervals.py
	$(BIN)/python benchmarks/bounds.py
	$(BIN)/python benchmarks/audit.py
	$(BIN)/python benchmarks/lists.py
	$(BIN)/python benchmarks/risk.py
	$(BIN)/python benchmarks/grid.py
	$(BIN)/python benchmarks/review.py
	$(BIN)/python benchmarks/month.py
	$(BIN)/python benchmarks/months.py
	$(BIN)/python benchmarks/health.py
	$(BIN)/python benchmarks/loop.py
	$(BIN)/python benchmarks/province.py
	@if command -v java >/dev/null; then $(BIN)/python benchmarks/spark.py; else echo "no Java: benchmarks/spark.py is left out"; fi

lock: setup
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --no-emit-index-url --no-annotate --upgrade --quiet -o constraints.txt

# For a machine like this one (the same Python, system and processor) that has no network: `sh install.sh` there.
BUNDLE := dist/fpml-bundle
bundle: setup
	@rm -rf $(BUNDLE) $(BUNDLE).tar && mkdir -p $(BUNDLE)/wheels
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip wheel --quiet --disable-pip-version-check -c constraints.txt -w $(BUNDLE)/wheels .
	@cp examples/office/* docs/operations.md docs/security.md $(BUNDLE)/
	@$(BIN)/python -c 'import platform, sys; print("%d.%d %s %s" % (*sys.version_info[:2], platform.system(), platform.machine()))' > $(BUNDLE)/MADE_FOR
	@cd $(BUNDLE) && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum > SHA256SUMS
	@tar -C dist -cf $(BUNDLE).tar fpml-bundle
	@echo "$(BUNDLE).tar: copy it to the machine, unpack it there, and run: sh fpml-bundle/install.sh"

clean:
	rm -rf $(VENV) data/demo data/argentina dist
