# The short verbs. Each is one line calling a real tool; everything they need is installed into .venv first.
PYTHON ?= python3
PORT ?= 8000
SIMULATOR_PORT ?= 9000
DEMO_ARGS ?=
BENCH ?=
# What runs on PostgreSQL each time: the services, where all queries are made, and the pages that page through rows. `test-postgres` runs the rest, too.
ON_POSTGRESQL := tests/services tests/commands $(wildcard $(addprefix tests/views/test_,instance*.py overview.py exports.py saved_views.py audit.py))
export PYTHONPATH := $(CURDIR)

.PHONY: demo test test-postgres coverage lint bench test-tools

.venv/run: requirements.txt
	$(PYTHON) -m venv .venv && .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt && touch $@

.venv/dev: requirements.txt requirements-scale.txt requirements-dev.txt
	$(PYTHON) -m venv .venv && .venv/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt && touch $@ .venv/run

demo: .venv/run
	exec .venv/bin/python manage.py demo --port $(PORT) --simulator-port $(SIMULATOR_PORT) $(DEMO_ARGS)

test: .venv/dev test-tools lint
	.venv/bin/python -m pytest -n 4
	.venv/bin/python -m tests.postgres pytest -n 3 -m "not processes" $(ON_POSTGRESQL)

test-postgres: .venv/dev test-tools
	.venv/bin/python -m tests.postgres pytest -n 3 -m "not browser and not processes"

coverage: .venv/dev test-tools
	.venv/bin/python -m pytest -n 2 --cov --cov-report=term:skip-covered

lint: .venv/dev
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/djlint --lint templates --quiet

bench: .venv/dev test-tools
	.venv/bin/python -m tests.benchmarks $(BENCH)

test-tools:
	sh .ci/test-tools
