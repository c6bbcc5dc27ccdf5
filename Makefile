# Every target works from a clean clone: the first one that needs it builds .venv with the locked versions.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check check-native bench bench-codec bench-collect bench-forward bench-query bench-serve torture fuzz lock clean help

help:            ## this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

# Two stamps, so that `make demo` installs only what recording and reading need.
$(VENV)/.light: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "whence needs Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing whence into $(VENV)"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.light
	@echo "installing the development tools into $(VENV)"
	@$(PIP) install -c constraints.txt -r requirements-dev.txt -e '.[all]'
	@touch $@

# Clients of others that tests send with: the official JavaScript exporters, and rotel where there is a wheel for this machine.
# Without npm, or without the wheel, those tests are skipped.
CLIENTS := tests/walk/clients
$(VENV)/.clients: $(CLIENTS)/package-lock.json $(VENV)/.dev
	@if command -v npm >/dev/null; then echo "installing the JavaScript exporters for the tests"; \
	  npm ci --prefix $(CLIENTS) --ignore-scripts --loglevel=error >/dev/null; fi
	@$(PIP) install --only-binary :all: rotel==0.0.1a15 2>/dev/null || echo "rotel has no wheel for this machine: its tests are skipped"
	@touch $@

demo: $(VENV)/.light  ## record a simulation with a mystery in it, and ask why
	@$(BIN)/whence demo

test: $(VENV)/.dev $(VENV)/.clients  ## everything CI runs
	@$(BIN)/python -m pytest -n auto --dist worksteal

check: $(VENV)/.dev check-native  ## ruff, mypy strict, the laws of the house, the native core's own checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/house/test_floors.py

# Only where Rust is, new enough, with its tools and the crates of the lock; whence does without.
check-native:    ## the native core: rustfmt, clippy, cargo test
	@if { cd native && cargo fmt --version && cargo clippy --version && cargo metadata --locked --format-version 1 \
	    --config net.retry=1 --config http.timeout=10; } >/dev/null 2>&1; then \
	  cargo fmt --all --check && cargo clippy --workspace --all-targets --locked --quiet -- -D warnings \
	    && cargo test --workspace --locked --quiet; \
	else echo "the native core is not checked: cargo, rustfmt, clippy or the crates are not here"; fi

bench: $(VENV)/.dev  ## print speed beside the peers'; fails on nothing
	@$(BIN)/python -m benchmarks.record

bench-query: $(VENV)/.dev  ## print how fast an archive of 1M events answers, beside DuckDB and SQLite
	@$(BIN)/python -m benchmarks.query

bench-codec: $(VENV)/.dev  ## print how fast OTLP becomes lines and lines OTLP, beside protobuf's own parse
	@$(BIN)/python -m benchmarks.codec

bench-collect: $(VENV)/.dev  ## print how much OTLP the collector takes, beside the Collector and rotel where they are installed
	@$(BIN)/python -m benchmarks.collect

bench-forward: $(VENV)/.dev  ## print how much OTLP the collector sends on, beside rotel where it is installed
	@$(BIN)/python -m benchmarks.forward

# `make bench-serve EVENTS=10000000`, or of an archive that is there: `make bench-serve ARCHIVE=DIR`.
bench-serve: $(VENV)/.dev  ## print how fast a served archive of 1M events answers, and how many hear how much as it comes
	@$(BIN)/python -m benchmarks.serve $(if $(ARCHIVE),--archive $(ARCHIVE)) $(if $(EVENTS),--events $(EVENTS))

torture: $(VENV)/.dev  ## the long version of every test
	@WHENCE_TORTURE=1 $(BIN)/python -m pytest -n auto --dist worksteal --timeout 3600

# A seed and a number of executions make a run that can be had again: `make fuzz SEED=7 EXECUTIONS=1000`. `KEPT=DIR` keeps the
# smallest input of each way through the decoders.
SEED       ?= 1
EXECUTIONS ?= 10000000
fuzz:            ## ten million changed requests and lines at whatever the native core reads; needs cargo
	@cd native && cargo run --release --locked --quiet --package whence_core --example fuzz -- \
	  ../tests/golden/native $(EXECUTIONS) $(SEED) $(if $(KEPT),$(abspath $(KEPT)))

lock:            ## write constraints.txt anew from what the ranges resolve to today
	@rm -rf $(VENV)/lock && $(PYTHON) -m venv $(VENV)/lock
	@sed -i "/^[^#]/d" constraints.txt
	@$(VENV)/lock/bin/python -m pip --disable-pip-version-check --quiet install -r requirements-dev.txt -e '.[all]'
	@$(VENV)/lock/bin/python -m pip --disable-pip-version-check freeze --exclude-editable >> constraints.txt
	@rm -rf $(VENV)/lock

clean:
	rm -rf $(VENV) native/target src/whence/_native.*.so $(CLIENTS)/node_modules build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
