# make run    the demo: web, worker, scheduler and a simulated Heska, with nothing installed beforehand
# make test   the whole suite, on SQLite and on a PostgreSQL and Redis of its own
# Both need Python 3.11 or newer and make, and set everything else up by themselves.

PORT ?= 8000
export PORT PYTHON

PY = .venv/bin/python
# What shares an installation runs in one process. In the order of collection: a browser of the demo's stays open and forbids
# Django the database in its process, and what uses none comes last.
PYTEST = $(PY) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder --durations=20 --durations-min=5

.PHONY: help run test install serve check lock screens clean

help:
	@echo "make run [PORT=8000]  the demo at http://localhost:8000"
	@echo "make test             the whole suite"
	@echo "make install          only set up .venv"
	@echo "make serve            web, worker and scheduler in the environment given: no demo, no simulator"
	@echo "make check            style, types, import rules, migrations, deployment checks, templates"
	@echo "make lock             write the two lock files anew from pyproject.toml"
	@echo "make screens          take the pictures of docs/guide.md anew from the running demo"
	@echo "make clean            remove .venv and tool caches; your data in var/ stays"

run:
	@sh deploy/setup.sh run
	@exec $(PY) -m pims.run demo

test:
	@sh deploy/setup.sh dev
	@failed=; \
	echo "== on SQLite"; $(PYTEST) || failed=1; \
	echo "== on PostgreSQL and Redis"; $(PY) -m tests.servers --postgresql --redis -- $(PYTEST) || failed=1; \
	test -z "$$failed"

install:
	@sh deploy/setup.sh run

serve:
	@sh deploy/setup.sh run
	@exec $(PY) -m pims.run serve

check:
	@sh deploy/setup.sh dev
	@exec sh deploy/check.sh

UV = $(PY) -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11 --custom-compile-command "make lock"
lock:
	@sh deploy/setup.sh dev
	$(UV) pyproject.toml -o requirements.txt
	$(UV) --group dev pyproject.toml -o requirements-dev.txt

screens:
	@sh deploy/setup.sh dev
	@exec $(PY) docs/screens.py

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
