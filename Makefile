# On a fresh machine: Python >= 3.11 with pip and venv, and make. Nothing else.
#
#   PYTHON=...      the interpreter to make the environment with
#   PIP_ARGS=...    passed to every `pip install`, to choose where torch comes from for instance

PYTHON ?= python3
PIP_ARGS ?=
PROCESSES ?= 2
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt $(PIP_ARGS)

.PHONY: install demo serve test faults abuse soak fuzz lint check contract bench load weights fields evaluation formats openapi codes \
	clients containers machines partitions \
	wheel wheel-check clean python

demo: $(VENV)/.plots ## denoise the bundled micrograph through a server of its own
	$(BIN)/reucid demo --output-dir demo-output --overwrite

serve: $(VENV)/.run ## run the server until Ctrl-C
	$(BIN)/reucid serve

install: $(VENV)/.dev ## everything development needs

test: $(VENV)/.dev ## the tests; PROCESSES=number of processes that share them, file by file
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder

faults: $(VENV)/.dev ## break a server for an hour; figures in build/faults.json
	$(BIN)/python -m tests.faults

fuzz: $(VENV)/.dev ## thousands of damaged files; FUZZ=number of each format, FUZZ_SEED
	FUZZ=$${FUZZ:-500} $(BIN)/python -m pytest -s tests/hostile/test_damaged.py

lint: $(VENV)/.dev ## formatting, style, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## what has to pass before a change lands

contract: $(VENV)/.dev ## the API against its OpenAPI document, for long
	$(BIN)/python -m tests.app.api.test_contract 200

bench: $(VENV)/.run ## how fast the core is here, beside what one would pick instead
	$(INSTALL) --editable ".[bench]"
	mkdir -p build
	$(BIN)/python benchmarks/bench_core.py --growth --json build/core.json
	$(BIN)/python benchmarks/plot_core.py build/core.json build/core.png
	$(BIN)/python benchmarks/bench_large.py
	$(BIN)/python benchmarks/bench_live_core.py

load: $(VENV)/.run ## how a server bears many, slow and large clients, and stacks; figures in build/load.json
	$(BIN)/python benchmarks/bench_load.py
	$(BIN)/python benchmarks/bench_backlog.py
	$(BIN)/python benchmarks/bench_stack.py

abuse: $(VENV)/.dev ## one owner does everything at once, ten others work; figures in build/abuse.json
	$(BIN)/python -m tests.abuse

soak: $(VENV)/.dev ## SOAK_HOURS=1 of ordinary work; memory, files and latency in build/soak.json
	nice -n 10 $(BIN)/python benchmarks/bench_soak.py

containers: $(VENV)/.dev ## build and run what docker/ holds, and break it; figures in build/containers.json
	$(INSTALL) --editable ".[containers]"
	$(BIN)/python -m pytest tests/containers
	$(BIN)/python -m tests.containers

machines: $(VENV)/.dev ## 50 clients of two APIs behind nginx, one of which dies often; build/machines.json
	$(BIN)/python -m tests.machines

partitions: $(VENV)/.dev ## cut workers off from ledger, queue and store; as root; build/partitions.json
	$(BIN)/python -m tests.partitions

weights: $(VENV)/.lab ## train the bundled classifiers anew
	$(BIN)/reucid train --overwrite

fields: $(VENV)/.run ## simulate the multislice fields anew; half an hour on one core
	$(INSTALL) --editable ".[multislice]"
	$(BIN)/python -m reucid_core.training.micrographs.multislice

evaluation: $(VENV)/.lab ## measure the classifiers on crystals they never saw; build/evaluation
	$(INSTALL) --editable ".[bench,plots]"
	$(BIN)/reucid evaluate --overwrite

formats: $(VENV)/.dev ## write the table of docs/formats.md anew: make formats REAL=<folder>
	$(BIN)/python -m tests.formats_table $(REAL)

openapi: $(VENV)/.run ## write openapi/openapi.json anew
	$(BIN)/python -m app.api.openapi

codes: $(VENV)/.run ## write docs/codes.md anew
	$(BIN)/python -m app.api.catalogues

clients: $(VENV)/.dev ## generate clients from the OpenAPI document, check and run them
	$(BIN)/python -m tests.clients

wheel: $(VENV)/.run ## build the packages that others install: all, and the client alone; build/wheel
	rm -rf build/wheel
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel \
		. ./reucid_client

wheel-check: wheel $(VENV)/.dev ## install each where nothing else is, and use it
	$(BIN)/python -m tests.wheel build/wheel/*.whl

clean:
	rm -rf $(VENV) demo-output

$(VENV)/.run: pyproject.toml constraints.txt | python
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing; torch is large, the first time takes minutes"
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.plots: $(VENV)/.run
	$(INSTALL) --editable ".[plots]"
	@touch $@

$(VENV)/.lab: $(VENV)/.run
	$(INSTALL) --editable ".[laboratory]"
	@touch $@

$(VENV)/.dev: $(VENV)/.plots
	$(INSTALL) --editable ".[dev,plots,laboratory]"
	@touch $@

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	"$(PYTHON) is missing or older than Python 3.11: install one (on Debian: apt install python3)," \
	"or name another with make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo \
	"$(PYTHON) has no venv: install it (on Debian: apt install python3-venv)" >&2; exit 1; }
