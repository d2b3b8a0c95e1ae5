# Every command a person or the continuous integration types. `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

# The interpreter that .venv is made from. It must be 3.11 with a shared library and headers: Flink's thread mode
# embeds CPython in the JVM and compiles against Python.h.
PYTHON ?= python3.11

BIN := .venv/bin
LIB := .sentinel/lib
# Stamps lie inside what they vouch for, so that deleting a folder is enough to have it made again.
PREREQUISITES := .sentinel/prerequisites
UV := .venv/.uv-is-here
INSTALLED := .venv/.installed
CONNECTORS := $(LIB)/connectors/.fetched
BROKER := $(LIB)/kafka/.fetched
OPERATORS := $(LIB)/connectors/llm-sentinel-operators.jar
KERNELS := .sentinel/kernels/.compiled
MAVEN := mvn --batch-mode --quiet --strict-checksums
# Maven resets the terminal's colours even when it prints nothing.
PLAINLY := 2>&1 | sed 's/\x1b\[0m//g'
# Kernels are compiled once and shared by tests, the command line and the TaskManagers.
export NUMBA_CACHE_DIR ?= $(CURDIR)/.sentinel/numba

.PHONY: help setup lock check format test-fast test test-all demo bench bench-peers quality clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 14

setup: $(INSTALLED) $(CONNECTORS) $(OPERATORS) $(BROKER) $(KERNELS) ## Make .venv with the command `sentinel`, fetch the Java archives, compile (seconds the second time)

lock: $(UV) ## Resolve pyproject.toml again into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	  --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' --quiet --upgrade --output-file requirements.lock

check: setup ## Lint, types, import directions, published schemas: seconds
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sentinel schemas check

format: setup ## Format and repair what can be repaired
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

test-fast: setup ## Tests that start no server: the pure core
	$(BIN)/pytest -m 'not cluster and not slow and not process' -n auto

# Cluster tests share one stack: here they keep their order, so that a failure comes again; `test-all` shuffles them.
test: check ## What continuous integration runs: checks, and every test but the slow ones
	$(BIN)/pytest -m 'not cluster and not slow' -n auto
	$(BIN)/pytest -m 'cluster and not slow' --randomly-dont-reorganize

test-all: check ## Every test, the slow ones too, and properties with five times as many examples
	HYPOTHESIS_PROFILE=whole $(BIN)/pytest -m 'not cluster' -n auto
	$(BIN)/pytest -m cluster

demo: setup ## Replay traffic with nine planted faults through Kafka and Flink and say which were found (3 minutes)
	$(BIN)/sentinel demo

bench: setup ## Measure throughput and latency on this machine, a few minutes each
	$(BIN)/sentinel bench throughput
	$(BIN)/sentinel bench latency

bench-peers: setup ## Put Quix Streams, Bytewax, Faust, PySpark, a plain loop and Flink SQL beside the detection job (an hour)
	$(BIN)/python -m tests.benchmarks.peers --out .sentinel/peers/table.md

quality: setup ## Measure detection quality on the labelled series in the folder SENTINEL_DATA, and write docs/quality.md
	$(BIN)/python -m tests.quality

clean: ## Stop the local stack, then remove .venv, .sentinel and every cache
	if [ -x $(BIN)/sentinel ]; then $(BIN)/sentinel down || true; fi
	rm -rf .venv .sentinel .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What follows is `make setup` in steps; a step is done again only when what it was made from has changed.

$(PREREQUISITES): .ci/prerequisites
	@mkdir -p $(@D)
	@$< '$(PYTHON)' > $@.new
	@mv $@.new $@

$(UV): $(PREREQUISITES) .ci/bootstrap-venv
	@echo 'setup: .venv'
	@.ci/bootstrap-venv "$$(cat $(PREREQUISITES))"
	@touch $@

$(INSTALLED): $(UV) requirements.lock pyproject.toml
	@echo 'setup: Python packages'
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(CONNECTORS): flink-conf/pom.xml $(PREREQUISITES)
	@echo 'setup: Flink connectors'
	@rm -rf $(@D)
	@$(MAVEN) --file $< dependency:copy-dependencies -DoutputDirectory='$(CURDIR)/$(@D)' $(PLAINLY)
	@touch $@

$(OPERATORS): $(wildcard operators/java/*/*.java) operators/java/build $(CONNECTORS) $(INSTALLED)
	@echo 'setup: Java operators'
	@operators/java/build "$$($(BIN)/python -c 'import pyflink; print(pyflink.__path__[0])')/lib" $(@D) $@

$(BROKER): flink-conf/kafka-pom.xml $(PREREQUISITES)
	@echo 'setup: Kafka broker'
	@rm -rf $(@D)
	@$(MAVEN) --file $< dependency:copy-dependencies -DoutputDirectory='$(CURDIR)/$(@D)' $(PLAINLY)
	@touch $@

# Ten minutes of traffic go through every detector, so that nothing has to compile while tests or the first events wait.
$(KERNELS): | $(INSTALLED)
	@echo 'setup: kernels'
	@mkdir -p $(@D)
	@$(BIN)/sentinel replay --out $(@D)/calls.jsonl --truth $(@D)/planted.jsonl --duration 10m --as-fast-as-possible > $(@D)/log
	@$(BIN)/sentinel backtest telemetry $(@D)/calls.jsonl --out $(@D)/found >> $(@D)/log
	@rm -rf $(@D)/calls.jsonl $(@D)/planted.jsonl $(@D)/found
	@touch $@
