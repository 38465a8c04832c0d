# The two commands of the README are `make demo` and `make test`; both create what they need.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-thorough test-stack soak check lint types layers bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    install, then run a real workflow to its end on this machine"
	@echo "make test    install, then run the tests (three minutes or so)"
	@echo "make test-thorough  the tests that take longer: storms, mutants, killed processes, moto"
	@echo "make test-stack  build the stack, deploy it on stand-ins of AWS, and run it there"
	@echo "make soak    simulate random workflows under faults for MINUTES=30 and longer"
	@echo "make check   lint, types and layering"
	@echo "make bench   what a step costs, in time, requests, bytes and capacity units"

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/python -m examples.order

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadscope -q -m "not thorough"
	$(BIN)/python -m tests.soak --seeds 1000

# How many simulated runs are tried, how many storms over actors, from which seed on; and for how many
# seconds actors are moved from one real process to another.
SEEDS ?= 20000
STORMS ?= 100
FIRST_SEED ?= 0
MOVING ?= 60

test-thorough: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadscope -q -m thorough
	$(BIN)/python -m tests.soak --seeds $(SEEDS) --from $(FIRST_SEED)
	$(BIN)/python -m tests.soak --of actors --seeds $(STORMS) --from $(FIRST_SEED)
	$(BIN)/python -m tests.scenarios.actors.moving --seconds $(MOVING)

# The deployed system: installs the SAM CLI, stand-ins of AWS and a Java program below build/.
test-stack: $(READY)
	$(BIN)/python -m pytest tests/stack -q --timeout 900

# MINUTES of simulated runs that no test has seen, then half as many each of kill -9 on SQLite, of
# stateful actors that move from runner to runner, and of faults below the AWS adapters.
MINUTES ?= 30
soak: $(READY)
	$(BIN)/python -m tests.soak --minutes $(MINUTES) --from $$(date +%s)000
	$(BIN)/python -m tests.soak --of actors --minutes $(MINUTES) --from $$(date +%s)000
	$(BIN)/python -m tests.infra.local.torture --seconds $$(($(MINUTES) * 30))
	$(BIN)/python -m tests.scenarios.actors.moving --seconds $$(($(MINUTES) * 30))
	$(BIN)/python -m tests.infra.aws.many_threads --seconds $$(($(MINUTES) * 30))

check: lint types layers

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build .aws-sam .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
