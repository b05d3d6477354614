# Two commands do everything on a machine that has python3.11 or later with pip:
#   make demo    real text into an embedded Vectorize, and back as answers
#   make test    lint, strict types, and the whole test suite
# After make demo, make look shows what it has written on a page in the browser.
# Both make .venv by themselves; the second time they only look whether it is up to date.

PYTHON ?= python3
OLDEST_PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
LYNSE := .venv-lynse
WORKERS := .workers

.PHONY: demo look test test-page nightly test-oldest lint types suite lynse workers conformance-live format docs bench clean

demo: $(VENV)/demo.stamp
	@$(BIN)/python -m examples.demo

# The demo's index on a page, until Ctrl-C; it is written first if it is not there.
look: $(VENV)/demo.stamp
	@test -d .demo || $(BIN)/python -m examples.demo
	@$(BIN)/vectorize-stores open --path .demo --embedder demo $(OPTIONS)

test: lint types suite

lint: $(VENV)/dev.stamp
	@echo "ruff: lint and format"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "import-linter: which room may use which"
	@$(BIN)/lint-imports --no-cache --no-logo

types: $(VENV)/dev.stamp
	@echo "mypy: strict types"
	@$(BIN)/mypy

# Compiled once, also where Python is told to keep nothing: tests start a hundred programs.
suite: $(VENV)/dev.stamp lynse workers
	@echo "pytest: the whole suite"
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --dist worksteal

# Of the suite the page alone, in a Chromium: Debian's package chromium, or what VECTORIZE_CHROMIUM names.
# Skipped where there is none, unless VECTORIZE_REQUIRE_CHROMIUM=1.
test-page: $(VENV)/dev.stamp
	@echo "pytest: the page, in a Chromium"
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest tests/page/browser

# An hour or more on two cores: every case of every matrix, 200 seeds of every stress test, and
# twenty times as many examples.
nightly: $(VENV)/dev.stamp lynse workers
	@PYTHONDONTWRITEBYTECODE= VECTORIZE_NIGHTLY=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

# `make test` with the oldest Python and the oldest dependencies that pyproject.toml allows, in a
# virtual environment of its own. What only the tests need is as new as goes with them; the clients of
# other stores do not go with them, so what they make is not tested. Old releases may use what newer
# ones have deprecated.
test-oldest: $(OLDEST)/dev.stamp
	@echo "mypy: strict types, with the oldest dependencies"
	@$(OLDEST)/bin/mypy
	@echo "pytest: the whole suite, with the oldest dependencies"
	@PYTHONDONTWRITEBYTECODE= $(OLDEST)/bin/python -m pytest --numprocesses auto --dist worksteal \
	  -W default::DeprecationWarning -W default::PendingDeprecationWarning

# Servers that tests run against, each in a virtual environment of its own: those of LynseDB's page,
# and those of today. Where there is none for a system, its tests are skipped, and say so.
lynse: $(LYNSE)/0.3.0.stamp $(LYNSE)/0.9.0.stamp

$(LYNSE)/%.stamp:
	@echo "installing LynseDB $* into $(LYNSE)/$*, for the tests (once)"
	@$(PYTHON) -m venv $(LYNSE)/$* && $(LYNSE)/$*/bin/python -m pip install --quiet \
	  --disable-pip-version-check lynsedb==$* && touch $@ || echo "LynseDB $* cannot be installed"

# Cloudflare's runtime for Workers and its command, for the tests of docs/workers.md. Where there is no
# npm, they are skipped, and say so.
workers: $(WORKERS)/4.164.0.stamp

$(WORKERS)/%.stamp: | $(BIN)/python
	@echo "installing wrangler $* into $(WORKERS), for the tests (once)"
	@$(BIN)/python tests/workers/install.py $(WORKERS) $* && touch $@ || echo "wrangler $* cannot be installed"

# The API's tests against the account of CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN, and a report
# of what is different there; docs/local-server.md says what that costs. Without the two variables,
# against the local server.
conformance-live: $(VENV)/dev.stamp
	@if [ -n "$$CLOUDFLARE_ACCOUNT_ID" ] && [ -n "$$CLOUDFLARE_API_TOKEN" ]; \
	then VECTORIZE_LIVE=1 $(BIN)/python -m pytest tests/conformance/live; \
	else echo "no credentials: against the local server"; \
	  $(BIN)/python -m pytest tests/conformance/live; fi

format: $(VENV)/dev.stamp
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# docs/ as a site in build/site. Strict: a link that leads nowhere fails it.
docs: $(VENV)/docs.stamp
	@echo "mkdocs: the site"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/dev.stamp
	@$(BIN)/python -m benchmarks.ingest
	@$(BIN)/python -m benchmarks.server
	@$(BIN)/python -m benchmarks.client
	@$(BIN)/python -m benchmarks.memory 100000
	@$(BIN)/python -m benchmarks.moving
	@$(BIN)/python -m benchmarks.heartbeat
	@$(BIN)/python -m benchmarks.engine measure --scale 0.1
	@$(BIN)/python -m benchmarks.retrieval measure

clean:
	rm -rf $(VENV) $(OLDEST) $(LYNSE) $(WORKERS) .demo build/site

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "Python 3.11 or later is needed; say which with PYTHON=python3.12")'
	@echo "making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml | $(BIN)/python
	@echo "installing what the demo and the page need into $(VENV) (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo,cli,server]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	@echo "installing what the tests need into $(VENV) (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,foreign-tests,page-tests]'
	@touch $@ $(VENV)/demo.stamp

$(VENV)/docs.stamp: pyproject.toml | $(BIN)/python
	@echo "installing what the site needs into $(VENV) (a minute, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

# With a new pip: that of old Pythons finds no releases that go together.
$(OLDEST)/dev.stamp: pyproject.toml tests/oldest.py
	@echo "making a virtual environment in $(OLDEST), of the oldest dependencies"
	@$(OLDEST_PYTHON) -m venv --clear $(OLDEST)
	@$(OLDEST)/bin/python tests/oldest.py > $(OLDEST)/constraints.txt
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint $(OLDEST)/constraints.txt --editable '.[dev,page-tests]'
	@touch $@
