# Everything a developer types. `make help` lists it; V=1 shows what each step prints.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON  ?= python3
VENV    := .venv
TRAINER := .venv-trainer
FUZZER  := .venv-schemathesis
BIN     := $(VENV)/bin
STEP    := tools/step
PIP_INSTALL := -m pip install -q --disable-pip-version-check --no-deps --no-compile

export PYTHONUNBUFFERED := 1
export TRAINER_PYTHON ?= $(CURDIR)/$(TRAINER)/bin/python

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- Use -------------------------------------------------------------------------------------------------------------
.PHONY: demo up down
demo: setup setup-trainer ## a real fine-tune through the whole suite, from nothing to an answer
	@$(BIN)/python examples/demo.py

up: setup setup-trainer ## start the suite in the background; returns when it is healthy
	@$(BIN)/swiftletd up --detach

down: setup ## stop the suite; running jobs go on
	@$(BIN)/swiftletd down

# --- Environments ----------------------------------------------------------------------------------------------------
# A stamp is written last, so an install that was cut off is done again; one that is up to date costs nothing.
.PHONY: setup setup-trainer setup-schemathesis python-is-new-enough
setup: $(VENV)/.stamp-editable ## the environment of the services, tests and tools
setup-trainer: $(TRAINER)/.stamp-locked ## the environment of ms-swift and torch
setup-schemathesis: $(FUZZER)/.stamp-locked ## the environment of schemathesis, which tests the REST API

python-is-new-enough:
	@command -v '$(PYTHON)' >/dev/null || { echo 'There is no $(PYTHON). Install Python 3.11 or newer, or say where it is: make PYTHON=/path/to/python3.11'; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo '$(PYTHON) is older than Python 3.11. Say where a newer one is: make PYTHON=/path/to/python3.11'; exit 1; }

%/.stamp-created: | python-is-new-enough
	@$(STEP) 'create $*' '$(PYTHON)' -m venv $*
	@touch $@

$(VENV)/.stamp-locked: requirements.txt | $(VENV)/.stamp-created
	@$(STEP) 'install services, tests and tools' $(BIN)/python $(PIP_INSTALL) --require-hashes -r $<
	@touch $@

$(VENV)/.stamp-editable: pyproject.toml clients/python/pyproject.toml $(VENV)/.stamp-locked
	@$(STEP) 'install this checkout' $(BIN)/python $(PIP_INSTALL) --no-build-isolation -e clients/python -e .
	@touch $@

$(TRAINER)/.stamp-locked: requirements-trainer.txt requirements-trainer.in | $(TRAINER)/.stamp-created
	@$(STEP) 'install ms-swift (about 120 packages)' $(TRAINER)/bin/python $(PIP_INSTALL) --require-hashes -r $<
	@$(STEP) 'install torch' $(TRAINER)/bin/python -m pip install -q --disable-pip-version-check "$$(grep '^torch==' requirements-trainer.in)"
	@touch $@

$(FUZZER)/.stamp-locked: requirements-schemathesis.txt | $(FUZZER)/.stamp-created
	@$(STEP) 'install schemathesis' $(FUZZER)/bin/python $(PIP_INSTALL) --require-hashes -r $<
	@touch $@

# --- Check -----------------------------------------------------------------------------------------------------------
CHECKS := check-format check-lint check-types check-imports check-protos check-stubs check-openapi check-unit
.PHONY: check $(CHECKS)
check: $(CHECKS) ## format, lint, types, import contracts, protos, stubs in sync, unit tests

check-format: setup
	@$(STEP) 'format' $(BIN)/ruff format --check .
check-lint: setup
	@$(STEP) 'lint' $(BIN)/ruff check .
	@$(STEP) 'no function over 60 lines, no file over 400' $(BIN)/python tools/sizes.py
check-types: setup
	@$(STEP) 'strict types' $(BIN)/mypy
check-imports: setup
	@$(STEP) 'import contracts' $(BIN)/lint-imports --no-logo
check-protos: build/googleapis/.stamp
	@$(STEP) 'protos: format' $(BIN)/buf format --diff --exit-code protos
	@$(STEP) 'protos: lint' $(BIN)/buf lint
	@$(STEP) 'protos: nothing breaks the released contract' $(BIN)/buf breaking protos --against protos/released.binpb
check-stubs: build/googleapis/.stamp
	@$(STEP) 'generated stubs are what the protos give' $(BIN)/python tools/stubs.py --check
check-openapi: setup
	@$(STEP) 'OpenAPI document is what the protos give' $(BIN)/python -m swiftlet_gateway.openapi --check
check-unit: setup
	@$(STEP) 'unit tests' $(BIN)/pytest -q tests/unit

.PHONY: test bench
test: setup setup-trainer setup-schemathesis ## every test, among them one real training
	@$(BIN)/pytest

.PHONY: chaos
SEED   ?= 1
FAULTS ?= 300
chaos: setup setup-trainer ## kill things at random, SEED=1 FAULTS=300, and count what is lost
	@CHAOS_SEED=$(SEED) CHAOS_FAULTS=$(FAULTS) $(BIN)/pytest -s tests/system/test_chaos.py

.PHONY: simulation
simulation: export SEEDS := $(or $(SEEDS),10000)
simulation: setup ## live through thousands of accidents in memory; SEED=123 tells what happens in one
ifeq ($(origin SEED),file)
	@$(BIN)/pytest -q -x tests/simulation
else
	@cd tests && ../$(BIN)/python -m simulation.simulate $(SEED)
endif

ONLY ?= *
bench: setup ## how fast it is, here and now; ONLY=scheduler runs one
	@for program in benchmarks/$(ONLY).py; do echo "== $$program"; $(BIN)/python "$$program"; done

# --- Generate --------------------------------------------------------------------------------------------------------
.PHONY: protos goldens release-protos lock
build/googleapis/.stamp: tools/googleapis.py requirements.txt $(wildcard protos/swiftlet/*/v1/*.proto) | setup
	@$(STEP) 'google protos for buf' $(BIN)/python tools/googleapis.py
	@touch $@

protos: build/googleapis/.stamp ## format the protos and generate the Python stubs
	@$(STEP) 'format protos' $(BIN)/buf format -w protos
	@$(STEP) 'generate stubs' $(BIN)/python tools/stubs.py
	@$(STEP) 'write the OpenAPI document' $(BIN)/python -m swiftlet_gateway.openapi

goldens: setup ## write down the JSON that each RPC answers, tests/golden, from the protos
	@$(STEP) 'write golden JSON' env PYTHONPATH=tests $(BIN)/python -m support.golden

release-protos: build/googleapis/.stamp ## make today's protos the contract that may not be broken
	@$(STEP) 'write protos/released.binpb' $(BIN)/buf build protos --exclude-source-info -o protos/released.binpb

# UPGRADE=1 takes the newest versions; without it the pins of the current lock stay where they can.
LOCK := $(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 --no-header --no-annotate $(if $(UPGRADE),--upgrade)
NOT_LOCKED := ^(torch|triton|cuda-.*|nvidia-.*)==
lock: setup ## pin every dependency, with hashes
	@$(STEP) 'lock services, tests and tools' $(LOCK) pyproject.toml clients/python/pyproject.toml --extra build --extra dev --no-emit-package swiftlet -o requirements.txt
	@$(STEP) 'lock the services alone' $(LOCK) pyproject.toml clients/python/pyproject.toml --extra build --no-emit-package swiftlet -c requirements.txt -o requirements-services.txt
	@$(STEP) 'lock schemathesis' $(LOCK) requirements-schemathesis.in -o requirements-schemathesis.txt
	@mkdir -p build && cp requirements-trainer.txt build/
	@$(STEP) 'lock ms-swift' $(LOCK) requirements-trainer.in -o build/requirements-trainer.txt
	@# torch and what it brings for CUDA stay out: a hash would forbid the build that pip is configured for.
	@awk '/^[a-z]/ { keep = !/$(NOT_LOCKED)/ } keep' build/requirements-trainer.txt > requirements-trainer.txt

.PHONY: clean distclean
clean: ## remove what was built
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## remove the environments too
	@rm -rf $(VENV) $(TRAINER) $(FUZZER)
