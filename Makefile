# The short verbs. Each is one line calling a real tool; everything they need is installed into .venv first.
PYTHON ?= python3
PORT ?= 8000
SIMULATOR_PORT ?= 9000
DEMO_ARGS ?=
BENCH ?=
LOCK_ARGS ?=
# The order of the tests: each time the same here, so that a failure comes again; `make test SEED=default` shuffles anew.
SEED ?= 380429018
# What runs on PostgreSQL each time: the services, where all queries are made, and the pages that page through rows. `test-postgres` runs the rest, too.
ON_POSTGRESQL := tests/services tests/commands $(wildcard $(addprefix tests/views/test_,instance*.py overview.py exports.py saved_views.py audit.py))
LOCK := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock"
# Whatever is installed is what the lock files name, byte for byte.
INSTALL := .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes
export PYTHONPATH := $(CURDIR)

.PHONY: audit lock sbom scale-demo demo test test-postgres test-engines coverage lint bench test-tools

.venv/run: requirements.lock
	$(PYTHON) -m venv .venv && $(INSTALL) -r requirements.lock && touch $@

.venv/dev: requirements-dev.lock
	$(PYTHON) -m venv .venv && $(INSTALL) -r requirements-dev.lock && touch $@ .venv/run

demo: .venv/run
	exec .venv/bin/python manage.py demo --port $(PORT) --simulator-port $(SIMULATOR_PORT) $(DEMO_ARGS)

test: .venv/dev
	$(MAKE) --jobs 2 test-tools lint audit
	.venv/bin/python -m pytest -n 5 --randomly-seed=$(SEED)
	.venv/bin/python -m tests.postgres pytest -n 3 --randomly-seed=$(SEED) -m "not processes or engines" $(ON_POSTGRESQL)

test-postgres: .venv/dev test-tools
	.venv/bin/python -m tests.postgres pytest -n 3 -m "not browser and not processes"

test-engines: .venv/dev test-tools
	for engine in redis postgres celery; do \
	  .venv/bin/python -m tests.engines $$engine pytest -n 2 --dist worksteal -m processes tests/services || exit 1; \
	  .venv/bin/python -m tests.postgres tests.engines $$engine pytest -n 2 --dist worksteal -m processes tests/services --deselect tests/services/test_hooks_served.py || exit 1; \
	done

coverage: .venv/dev test-tools
	.venv/bin/python -m pytest -n 2 --cov --cov-report=term:skip-covered

lint: .venv/dev
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/djlint --lint templates --quiet && .venv/bin/python -m tests.gates

audit: .venv/dev
	.venv/bin/python -m tests.gates audit

# Writes what has changed in requirements*.txt into the lock files; with LOCK_ARGS=--upgrade all newer versions, too.
lock: .venv/dev
	$(LOCK) $(LOCK_ARGS) --output-file requirements-dev.lock requirements-dev.txt
	$(LOCK) --upgrade --constraint requirements-dev.lock --output-file requirements-scale.lock requirements-scale.txt
	$(LOCK) --upgrade --constraint requirements-dev.lock --output-file requirements.lock requirements.txt

sbom: .venv/dev
	.venv/bin/cyclonedx-py environment --output-reproducible --output-file sbom.json .venv/bin/python

bench: .venv/dev test-tools
	.venv/bin/python -m tests.benchmarks $(BENCH)

scale-demo: .venv/dev test-tools
	.venv/bin/python -m tests.scale_demo $(SCALE_DEMO_RUN)

test-tools:
	sh .ci/test-tools
