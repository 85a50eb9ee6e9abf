# The front door. `make` alone lists what there is.
SHELL := /bin/bash
# the first that really runs (a version manager's shim may not) and is new enough; else whatever there is, so that its version can be told
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help run test check lint fix types arch parity browser bench bench-viewer tiny lock starter compose-check system-packages

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# -- the two commands --------------------------------------------------------------------------------------------------
run: $(VENV)/.run ## start Sluice and print the link that logs in (PORT=8000, SLUICE_DATA=var)
	@exec $(BIN)/python manage.py up --port $(or $(PORT),8000)

test: $(VENV)/.test system-packages ## everything: style, types, imports, then every test, quick ones first
	@$(MAKE) --no-print-directory lint types arch
	$(BIN)/python -m pytest -q -m "not slow and not services and not browser"
	$(BIN)/python -m pytest -q -m "slow and not services and not browser"
	$(BIN)/python -m pytest -q -m "services and not browser"
	$(BIN)/python -m pytest -q -m browser

# -- the fast round while working --------------------------------------------------------------------------------------
check: $(VENV)/.test lint types arch ## style, types, import contracts, quick tests
	$(BIN)/python -m pytest -q -m "not slow and not services and not browser"

lint: $(VENV)/.test ## ruff, djade, deptry, migrations complete
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@git ls-files 'templates/*.html' | xargs $(BIN)/djade --check --target-version 5.2
	$(BIN)/deptry .
	$(BIN)/python manage.py makemigrations --check --dry-run

fix: $(VENV)/.test ## let ruff and djade put right what they can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@git ls-files 'templates/*.html' | xargs $(BIN)/djade --target-version 5.2

types: $(VENV)/.test ## mypy, strict
	$(BIN)/mypy

arch: $(VENV)/.test ## who may import whom
	$(BIN)/lint-imports --no-cache

parity: $(VENV)/.test ## the engine against transformers
	$(BIN)/python -m pytest -q tests/parity

browser: $(VENV)/.test ## the whole loop in headless Chromium
	$(BIN)/python -m pytest -q -m browser

bench: $(VENV)/.test ## the engine's speed against transformers and a floor, both sides in one run (BENCH="--quick --part decode")
	$(BIN)/python -m tests.bench.bench_engine webapp/starter/tiny $(BENCH)

bench-viewer: $(VENV)/.test ## the trace page on 32,768 tokens x 58 layers, against its plain text (BENCH="--tokens 8192")
	$(BIN)/python -m tests.bench.bench_viewer $(BENCH)

# -- what is made rarely -----------------------------------------------------------------------------------------------
tiny: $(VENV)/.run ## train the bundled checkpoint again, from nothing (OUT=build/tiny)
	$(BIN)/python -m workers.trainers.tiny --out $(or $(OUT),build/tiny)

starter: ## choose the starter content again from the folder of real data (DATA=../shared/data)
	$(BIN)/python .ci/prepare-starter.py $(or $(DATA),../shared/data) webapp/starter

lock: $(VENV)/.dev ## resolve pyproject.toml into requirements/*.txt
	.ci/lock $(BIN)

compose-check: ## docker-compose.yml is well-formed (Debian's docker-compose; needs no engine)
	docker-compose --profile vllm config --quiet

# -- environments: a stamp a lock file, so that nothing is installed twice ---------------------------------------------
$(VENV)/.run: requirements/torch.txt requirements/run.txt
	@.ci/environment "$(PYTHON)" $(VENV) requirements/run.txt
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements/test.txt
	@.ci/environment "$(PYTHON)" $(VENV) requirements/test.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.test

system-packages:
	@.ci/system-packages
