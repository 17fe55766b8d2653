# From a bare machine with Python 3.11 and pip: `make run` or `make test`, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: setup run test check bench faults fuzz clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Relaytrap needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "Python cannot make a virtual environment here. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "Installing Relaytrap and what it needs into $(VENV) (once; a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[hub,probe,nats,stix,misp,dev]'
	@touch $@

run: setup
	@$(BIN)/relaytrap up --sample

check: setup
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Many tests start programs of ours, which would each compile the package anew where no bytecode is written; and many
# wait for real time, so two cores have work for four. tests/conftest.py says what each of them begins with.
test: check
	$(BIN)/python -m compileall -q src
	$(BIN)/python -m pytest -n 4 --dist worksteal

bench: setup
	$(BIN)/python bench/run.py

# An hour and a half at full size; `python -m faults --brief` takes ten minutes.
faults: setup
	$(BIN)/python -m faults

fuzz: setup
	for target in $$($(BIN)/python -m fuzz --names); do $(BIN)/python -m fuzz $$target --seconds 300 || exit 1; done

clean:
	rm -rf $(VENV) build dist *.egg-info
