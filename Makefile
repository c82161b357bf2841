# The only list of commands. Paths are relative, because GNU make cannot take spaces in a name; `make -C` works.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# A warm start needs the compiled modules that this variable would forbid.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
READY := .venv/.ready
UV := uv==0.13.9

# Extra words for the command: make run ARGS="--as-of 2026-02-04"
ARGS ?=

# Which benchmark: make bench BENCH=false_claims
BENCH ?= refresh_at_scale

.PHONY: help setup run test check ui bench docs lock

help:  ## List the commands.
	@sed -n 's/^\([a-z][a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 14

setup: $(READY)  ## Make the environment in .venv; every command below does it by itself.

run: $(READY)  ## Refresh the warehouse from raw_data/ and print the brief.
	@$(BIN)/mission refresh $(ARGS)

test: $(READY)  ## Run the whole test suite; ARGS="--cov" also holds it to its coverage floor, and takes a third longer.
	@$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal $(ARGS)

check: $(READY)  ## Lint, types, SQL style, Dagster's definitions, and whether the generated docs are current.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint sql docs/queries
	@$(BIN)/dg check defs
	@$(BIN)/python -m mission_pipeline.dictionary --check

ui: $(READY)  ## Open the Dagster UI on this machine, with the history of every refresh.
	@$(BIN)/mission ui $(ARGS)

bench: $(READY)  ## Measure a refresh of 200,000 runs against DuckDB merely parsing the same bytes; BENCH= names another.
	@$(BIN)/python benchmarks/$(BENCH).py $(ARGS)

docs: $(READY)  ## Write docs/warehouse.md again from the contracts and docs/queries/.
	@$(BIN)/python -m mission_pipeline.dictionary

lock:  ## Write requirements/lock.txt again from requirements/requirements.in; needs a network.
	@python=$$($(FIND_PYTHON)) && "$$python" -m venv --clear .venv-lock && .venv-lock/bin/python -m pip install -qq $(UV)
	@.venv-lock/bin/uv pip compile requirements/requirements.in --quiet --universal --python-version 3.11 --generate-hashes \
		--no-strip-extras --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
		--output-file requirements/lock.txt
	@rm -rf .venv-lock

# The first Python that the package supports. A name may exist and still not run, as the shims of pyenv do.
FIND_PYTHON = for python in $(PYTHON) python3.11 python3 python3.13 python3.12; do \
	"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
		&& echo "$$python" && exit 0; \
	done; echo "Python 3.11, 3.12 or 3.13 is needed. Install one, or name it: make run PYTHON=/path/to/python3.11" >&2; exit 1

# An environment holds absolute paths. The mark keeps the place it was made for: a checkout that was moved or copied
# makes its own again, and so does one whose setup was interrupted.
ifneq ($(shell cat .venv/.ready 2>/dev/null),$(shell pwd))
.PHONY: $(READY)
endif

# Where a Python comes without the parts that put pip into a new environment, its own pip fills it from outside.
$(READY): requirements/lock.txt pyproject.toml
	@echo "Setting up .venv (once; a minute or two) ..." >&2
	@python=$$($(FIND_PYTHON)) || exit 1; \
	[ "$$(cat $(READY) 2>/dev/null)" = "$$(pwd)" ] && [ -x $(BIN)/python ] || { \
		rm -f $(READY); "$$python" -m venv --clear .venv >/dev/null 2>&1 \
		|| "$$python" -m venv --clear --without-pip .venv || exit 1; }; \
	install() { "$$@" install -qq --disable-pip-version-check --require-hashes -r requirements/lock.txt \
		&& "$$@" install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .; }; \
	if $(BIN)/python -m pip --version >/dev/null 2>&1; then install $(BIN)/python -m pip; \
	else install "$$python" -m pip --python $(BIN)/python; fi
	@$(BIN)/python -m compileall -q mission_pipeline
	@pwd > $(READY)
