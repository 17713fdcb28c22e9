# PYTHON=python3.13 chooses another interpreter.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: setup run test lint bench hil lock

setup: $(READY)

# no ensurepip (Debian packs it apart): the system's pip fills the environment from outside
$(READY): requirements-dev.txt setup.cfg pyproject.toml
	$(PYTHON) -m venv --without-pip .venv
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

run: $(READY)
	$(BIN)/amo-agent demo

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# half an hour, best with nothing else on the machine; asn1c, if it is to be there too, is a package of Debian
bench: $(READY)
	$(BIN)/python -m pip install -qq --no-build-isolation --editable '.[bench]'
	$(BIN)/python -m bench.replay
	$(BIN)/python -m bench.canbus
	$(BIN)/python -m bench.bsm
	$(BIN)/python -m bench.lateness
	$(BIN)/python -m bench.obd
	$(BIN)/python -m bench.store --growth
	$(BIN)/python -m bench.retention
	$(BIN)/python -m bench.light

hil: $(READY)
	$(BIN)/python -m pytest -rs hil

# from the public index alone, whatever this machine's pip is told besides
lock: export PIP_CONFIG_FILE := /dev/null
lock: export PIP_FIND_LINKS :=
lock: export CUSTOM_COMPILE_COMMAND := make lock
lock: COMPILE := .venv/lock/bin/pip-compile --quiet --no-config --generate-hashes --strip-extras \
	--allow-unsafe --no-annotate --no-emit-options --no-emit-index-url --no-emit-trusted-host
lock:
	$(PYTHON) -m venv --without-pip .venv/lock
	$(PYTHON) -m pip --python .venv/lock/bin/python install --quiet pip-tools
	$(COMPILE) --output-file requirements.txt setup.cfg
	$(COMPILE) --extra dev --constraint requirements.txt --output-file requirements-dev.txt setup.cfg
