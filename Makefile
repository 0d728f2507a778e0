# make install: .venv with everything for training, the node and the tests.
# make test:    what must hold before a change goes in.

PYTHON ?= $(firstword $(foreach v,3.12 3.11 3.10,$(shell command -v python$(v))) python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install test

install: $(STAMP)

$(STAMP): setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' || { \
		echo "error: $(PYTHON) is not Python 3.10 to 3.12; make install PYTHON=<path of one>"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[ros,training,test]'
	@touch $@

test: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest
