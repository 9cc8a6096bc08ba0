# Everything on a fresh machine that has Python 3.11 and make. `make demo` and `make test` install what they need.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
BASE := .venv/.base
INSTALLED := .venv/.installed

.PHONY: demo browser docs test fast coverage lowest lint types layers check data clean

demo: $(BASE)  ## Rank the columns of a simulated coating line; the report is demo/report.html.
	$(BIN)/tabattn rank data/process.csv --target thickness_um --out demo

browser:  ## Chromium, in which reports are tested, where Debian's packages can be installed; else those tests are skipped.
	@command -v chromedriver > /dev/null || ! command -v apt-get > /dev/null || [ "$$(id -u)" != 0 ] || \
		{ export DEBIAN_FRONTEND=noninteractive; timeout 300 apt-get update -q && \
		timeout 300 apt-get install -y -q --no-install-recommends chromium chromium-driver; } > /dev/null || \
		echo "Chromium could not be installed: the tests of reports in a browser will be skipped."

test: $(INSTALLED) browser  ## All tests.
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal --durations=30

fast: $(INSTALLED)  ## The tests that take seconds.
	$(BIN)/pytest -m "not slow"

coverage: $(INSTALLED) browser  ## All tests, and which lines they do not run; half as slow again.
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal --cov --cov-report=term

lowest:  ## The same with the lowest versions that pyproject.toml allows.
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-lowest.txt -e '.[dev]'
	OMP_NUM_THREADS=1 .venv-lowest/bin/pytest -n 2 --dist worksteal -m "not slow"

docs: $(INSTALLED)  ## The documentation as a site in docs/build.
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/build

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

layers: $(INSTALLED)
	$(BIN)/lint-imports

check: lint types layers docs  ## Everything that CI runs.
	$(MAKE) test

data: $(INSTALLED)  ## Write the tables of data/ again.
	$(BIN)/python data/make_data.py

clean:
	rm -rf .venv .venv-lowest demo docs/build

$(BASE): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(INSTALLED): $(BASE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
