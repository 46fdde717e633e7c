# `make up` runs everything on this machine; `make test` runs the tests. Both make the virtual environment first, from the
# hashed locks in requirements/, through whatever package index pip is configured for. A second call is instant.

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
INSTALL := $(PIP) install --require-hashes --no-deps --no-compile --progress-bar off --requirement
TEST_WORKERS ?= 2
TESTS ?=

# stamps are keyed by content, not by time, so that a checkout of another branch and back costs nothing
key = $(shell cat $(1) | cksum | tr ' ' '-')
STAMPS := $(VENV)/.installed
MADE := $(STAMPS)/venv-$(shell echo '$(CURDIR)/$(VENV)' | cksum | tr ' ' '-')
RUNTIME := $(STAMPS)/runtime-$(call key,requirements/build.txt requirements/runtime.txt pyproject.toml)
DEV := $(STAMPS)/dev-$(call key,requirements/build.txt requirements/dev.txt pyproject.toml)
BENCH := $(STAMPS)/bench-$(call key,requirements/build.txt requirements/bench.txt pyproject.toml)

# one make at a time installs; the others wait, then find it done
LOCKED := $(if $(shell command -v flock),flock build/.make.lock)

.DEFAULT_GOAL := help
.PHONY: help up test check bench clean install install-dev
.SUFFIXES:

help:
	@echo 'make up      run everything on this machine: Postgres, Dagster, the API, the streamer, the replay exchange (Ctrl-C stops it)'
	@echo 'make test    run the tests (TESTS="-k ticks market_platform_tests/unit" for some of them)'
	@echo 'make check   formatting, lint, types, import directions, container files'
	@echo 'make bench   measure against the limits in docs/performance.md; writes build/bench.json'
	@echo 'make clean   delete the virtual environment, caches and build results; data in .market/ stays'
	@echo
	@echo 'PYTHON=/path/to/python3.12 make up    with a Python of your choice (3.11 or later)'

up: $(RUNTIME)
	@$(BIN)/market-platform up --end-with-parent

test: $(DEV)
	$(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) --dist loadgroup $(TESTS)

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/check_containers.sh

bench: $(BENCH)
	$(BIN)/python -m market_platform_tests.bench

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -not -path './.market/*' -prune -exec rm -rf {} +

install: $(RUNTIME)
install-dev: $(DEV)

# ------------------------------------------------------------------------------------------------ the virtual environment

define FIND_PYTHON
for each in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
    if "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$each; break; fi; \
done; \
if [ -z "$$python" ]; then \
    echo 'Python 3.11 or later is needed and none was found on PATH.' >&2; \
    echo 'Install one (Debian, Ubuntu: apt-get install python3 python3-venv), or say where it is: PYTHON=/path/to/python make up' >&2; \
    exit 1; \
fi
endef

$(MADE):
	@mkdir -p build
	@$(FIND_PYTHON); \
	$(LOCKED) sh -c '[ -e "$@" ] && exit 0; \
	    echo "making a virtual environment in $(VENV) with $$("$$0" --version) ($$0)"; \
	    if ! "$$0" -m venv --clear $(VENV) >build/venv.log 2>&1; then \
	        cat build/venv.log >&2; \
	        echo "could not make $(VENV): $$0 has no working venv module (Debian, Ubuntu: apt-get install python3-venv)" >&2; \
	        exit 1; \
	    fi; \
	    mkdir -p $(STAMPS) && touch "$@"' "$$python"

# everything is compiled at once, on all cores; ccxt's hundred exchanges only when they are used
define INSTALLED
$(INSTALL) requirements/build.txt && $(INSTALL) requirements/$(1).txt && \
$(PIP) install --no-index --no-deps --no-build-isolation --editable . && \
{ $(BIN)/python -m compileall -qq -j 0 -x "/(ccxt|moto|tests|lib2to3)/" $(VENV)/lib market_platform api_service streamer >/dev/null 2>&1 || true; }
endef

$(RUNTIME): $(MADE)
	@$(LOCKED) sh -c '[ -e "$@" ] && exit 0; \
	    echo "installing requirements/runtime.txt (one to three minutes the first time)"; \
	    $(call INSTALLED,runtime) && touch "$@"'

$(DEV): $(MADE)
	@$(LOCKED) sh -c '[ -e "$@" ] && exit 0; \
	    echo "installing requirements/dev.txt (one to three minutes the first time)"; \
	    $(call INSTALLED,dev) && touch "$@" "$(RUNTIME)"'

$(BENCH): $(MADE)
	@$(LOCKED) sh -c '[ -e "$@" ] && exit 0; \
	    echo "installing requirements/bench.txt (one to three minutes the first time)"; \
	    $(call INSTALLED,bench) && touch "$@" "$(DEV)" "$(RUNTIME)"'
