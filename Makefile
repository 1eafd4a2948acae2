MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.SILENT:

# Narrow a command down: make test ARGS="tests/loyalty -k refund"
ARGS ?=
WORKERS ?= logical
PYTEST := .venv/bin/python -m pytest

##@ Every day

.PHONY: run
run: ## Start everything on http://127.0.0.1:5000 (PORT=, RAPPORT_STATE=); Ctrl-C stops it
	bin/run

.PHONY: test
test: lint browser ## Everything that must hold: lint, types, imports, tests (ARGS=)
	# Each worker takes one stretch of the tests, so that what a module or the browser's demo shares is made once.
	$(PYTEST) -n $(WORKERS) --maxprocesses 8 --dist worksteal -m "not chaos" $(ARGS)

.PHONY: console
console: setup ## A Python prompt inside the running instance
	bin/flask shell

##@ Code

.PHONY: lint
lint: setup ## Check style, types and the direction of imports
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy . --no-error-summary
	.venv/bin/lint-imports --no-logo > .venv/imports.txt || { cat .venv/imports.txt; exit 1; }

.PHONY: fmt
fmt: setup ## Put the code in its one format
	.venv/bin/ruff check --fix --quiet
	.venv/bin/ruff format --quiet

.PHONY: words
words: setup ## Give every message of the code its place in the catalogs of locales/
	.venv/bin/python -m core.catalogs

##@ Proof

.PHONY: bench
bench: setup ## Measure against the goals and print the ratios (ARGS=)
	.venv/bin/python -m bench $(ARGS)

.PHONY: lighthouse
lighthouse: browser ## What Lighthouse gives the pages of the three faces
	.venv/bin/python -m bench.lighthouse

.PHONY: tour
tour: browser ## A picture of every page and state: docs/tour/index.html
	.venv/bin/python -m sandbox.tour

.PHONY: chaos
chaos: setup ## The long fault run, three seeds (ARGS=)
	$(PYTEST) -m chaos $(ARGS)

##@ Help

.PHONY: help
help: ## Show this
	awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n\033[1m%s\033[0m\n", substr($$0, 5) } \
	  /^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup:
	bin/setup

.PHONY: browser
browser: setup
	bin/browser
