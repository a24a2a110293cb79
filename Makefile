# Two commands matter: `make train-and-eval` (the main job) and `make test`. Each sets up what it needs;
# a second call finds the stamp and installs nothing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/pytest -n 2 --dist worksteal
DEVICE ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo cuda || echo cpu)
STAMP := $(VENV)/.installed-$(DEVICE)
ARGS ?=

# uv reads none of pip's settings: wheels that pip would find locally must be passed on. Where there are
# none, the CPU build of torch comes from PyTorch's own index, which uv knows by name.
FIND_LINKS = $(or $(PIP_FIND_LINKS),$(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null))
TORCH_FROM = $(if $(filter cuda,$(DEVICE)),,$(if $(FIND_LINKS),$(addprefix --find-links ,$(FIND_LINKS)),--torch-backend cpu))

.PHONY: train-and-eval test test-all check bench lock clean
train-and-eval: $(STAMP)
	$(BIN)/harness train-and-eval $(ARGS)

test: $(STAMP)
	$(PYTEST) -m "not heavy" $(ARGS)

# The heavy ones too: launches of several processes, runs that are killed, real servers, injected faults.
test-all: $(STAMP)
	$(PYTEST) $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(ARGS)

$(STAMP): pyproject.toml requirements/$(DEVICE).txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python3 -m venv failed: on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --compile-bytecode $(TORCH_FROM) -r requirements/$(DEVICE).txt
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation --quiet -e .
	rm -f $(VENV)/.installed-*
	touch $@

# The lock files, resolved again from pyproject.toml. The CPU set leaves out what requirements/overrides.txt names.
lock:
	$(BIN)/uv pip compile pyproject.toml --quiet --extra cpu --extra rl --extra dev --python-version 3.11 --no-annotate --no-emit-find-links \
	  --override requirements/overrides.txt $(TORCH_FROM) --custom-compile-command 'make lock' -o requirements/cpu.txt
	$(BIN)/uv pip compile pyproject.toml --quiet --extra cuda --extra rl --extra dev --python-version 3.11 --no-annotate \
	  --custom-compile-command 'make lock' -o requirements/cuda.txt

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
