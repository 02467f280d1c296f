# Everything a developer runs. Needs Python 3.11 or later, a Rust toolchain and make; `make help` lists the targets.
# Tools and dependencies are installed into .venv/ and .cache/, in the versions of requirements/constraints.txt.

PYTHON ?= python3
CARGO ?= cargo
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
FUZZ_SECONDS ?= 60
CHAOS_STRIKES ?= 20
# Each worker starts servers of its own, so more of them than that only wait for each other.
PYTEST_WORKERS := --numprocesses auto --maxprocesses 4 --dist worksteal

BIN := .venv/bin
CORE := python/headrace/_core.abi3.so
CARGO_DENY := .cache/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_FUZZ := .cache/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
# Sanitizers are options of a nightly compiler, and a stable one takes them with RUSTC_BOOTSTRAP. With a target that is
# named, build scripts and proc macros are built without. Memory that is never freed is none of our findings.
SANITIZED := RUSTC_BOOTSTRAP=1 ASAN_OPTIONS=detect_leaks=0
RUST_HOST = $(shell rustc -vV | sed -n 's/^host: //p')
BENCHES := packing sizes mixed threads allocation ordering journal blocking memory growth startup client latency requests loops ingest files parts rotation \
	ingest_milvus model
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs')

# The profile trades the tools' speed, which nobody notices, for compile time (2 minutes on two cores instead of 5).
INSTALL_TOOL := CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	$(CARGO) install --locked --quiet

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_CONSTRAINT := $(CURDIR)/requirements/constraints.txt
# One interpreter for every build of the binding: another one would make cargo compile pyo3 again.
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python

.DEFAULT_GOAL := help

.PHONY: help  ## print this list
help:
	@awk -F '## ' '/^\.PHONY: [a-z-]+  ## / { split($$1, name, " "); printf "  make %-12s %s\n", name[2], $$2 }' $(MAKEFILE_LIST)

.PHONY: setup  ## create .venv with the dependencies and the tools
setup: .venv/.setup

.venv/.setup: requirements/dev.txt requirements/constraints.txt pyproject.toml scripts/dependencies.py
	@$(PYTHON) -c 'import sys; sys.exit("headrace needs Python 3.11 or later, found " + sys.version) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python scripts/dependencies.py --extra lite > .venv/runtime.txt
	$(BIN)/python -m pip install --quiet --requirement requirements/dev.txt --requirement .venv/runtime.txt
	@touch $@

.PHONY: build  ## compile the Rust core (release) and install headrace into .venv, editable
build: $(CORE)

$(CORE): .venv/.setup pyproject.toml $(RUST_SOURCES)
	PIP_QUIET=1 $(BIN)/maturin develop --release --locked --quiet
	@touch -c $@

.PHONY: demo  ## load the sample into ./demo.db, verify it and search it
demo: build
	$(BIN)/python examples/demo.py ./demo.db

.PHONY: test  ## all tests that together take minutes: Rust core, then Python
test: build
	$(CARGO) test --locked --quiet
	$(BIN)/python -m pytest -m "not long" $(PYTEST_WORKERS)

# Exit status 5 is pytest's "no test has the mark".
.PHONY: test-long  ## the tests marked `long`: real servers, Airflow, Ray; before them asan and fuzz
test-long: build asan fuzz
	$(BIN)/python -m pytest -m long --timeout 1200 $(PYTEST_WORKERS) || [ $$? -eq 5 ]

# Lines of JSON go to .cache/chaos.jsonl, one for each run.
.PHONY: chaos  ## kills and network faults on a real Milvus until CHAOS_STRIKES of each counted; SEED=reset-3 is one run
chaos: build
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED),--strikes $(CHAOS_STRIKES))

.PHONY: asan  ## the tests of the Rust core, with every read and write checked by AddressSanitizer
asan:
	$(SANITIZED) RUSTFLAGS=-Zsanitizer=address PROPTEST_CASES=64 \
	$(CARGO) test --locked --quiet --lib --tests --target $(RUST_HOST) --target-dir .cache/asan

# Begins with the inputs of fuzz/corpus and keeps what it finds in .cache/fuzz.
.PHONY: fuzz  ## pack arbitrary Arrow arrays for FUZZ_SECONDS, with AddressSanitizer
fuzz: $(CARGO_FUZZ)
	mkdir -p .cache/fuzz/corpus
	$(SANITIZED) $(CARGO_FUZZ) run pack --fuzz-dir fuzz --target-dir .cache/fuzz/target .cache/fuzz/corpus fuzz/corpus -- \
	  -max_total_time=$(FUZZ_SECONDS) -timeout=30 -max_len=1024 -len_control=0 -print_final_stats=1 -verbosity=0

$(CARGO_FUZZ):
	$(INSTALL_TOOL) cargo-fuzz --version $(CARGO_FUZZ_VERSION) --root .cache/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)

.PHONY: check  ## every check that is not a test: style, types, layers, licences, generated code
check: check-python check-rust check-protos

.PHONY: check-python  ## ruff, mypy, stubtest, import-linter
check-python: build
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/stubtest headrace._core
	$(BIN)/lint-imports

# The documentation is built with its private items, so links to them lead somewhere.
.PHONY: check-rust  ## rustfmt, clippy with and without the binding, rustdoc, cargo-deny
check-rust: .venv/.setup $(CARGO_DENY)
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --locked --quiet --all-targets -- --deny warnings
	$(CARGO) clippy --locked --quiet --all-targets --features python -- --deny warnings
	RUSTDOCFLAGS="--deny warnings --allow rustdoc::private_intra_doc_links" $(CARGO) doc --locked --quiet --no-deps --features python --document-private-items
	$(CARGO_DENY) --locked --all-features check bans licenses sources

# Advisories are not checked: they are fetched from a host that is not reachable everywhere.
$(CARGO_DENY):
	$(INSTALL_TOOL) cargo-deny --version $(CARGO_DENY_VERSION) --no-default-features --root .cache/tools/cargo-deny-$(CARGO_DENY_VERSION)

.PHONY: check-protos  ## the generated protobuf modules are those of protos/
check-protos:
	rm -rf .cache/protos-check
	PIP_CONSTRAINT= protos/regen.sh $(CURDIR)/.cache/protos-check
	diff --recursive --unified --exclude=__pycache__ --exclude=__init__.py .cache/protos-check/headrace/_proto python/headrace/_proto

.PHONY: format  ## format Python and Rust
format: .venv/.setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(CARGO) fmt
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml

.PHONY: bench  ## the figures of docs/performance.md, all kept in benches/results; an hour
bench: build
	$(CARGO) bench --locked --quiet --bench '*'
	$(foreach bench,$(BENCHES),$(BIN)/python -m benches.$(bench) &&) true

# Not a part of CI: it wants a machine of its own. BENCHES="packing files" is a part of it.
.PHONY: bench-check  ## whether a ratio of benches/results fell by more than 15 %; the output is benches/results/check.md
bench-check: build
	$(BIN)/python -m benches.check $(if $(filter command line,$(origin BENCHES)),$(BENCHES))

.PHONY: protos  ## generate the protobuf modules from protos/
protos:
	PIP_CONSTRAINT= protos/regen.sh

.PHONY: wheel  ## build the wheel and the sdist into dist/, test the wheel with the oldest and the newest dependencies
wheel: build
	$(BIN)/python scripts/wheel.py

# Resolves anew, so its difference is what a reviewer reads.
.PHONY: lock  ## pin the newest versions of everything in requirements/constraints.txt
lock:
	rm -rf .cache/lock
	$(PYTHON) -m venv .cache/lock
	$(PYTHON) scripts/dependencies.py --extra lite > .cache/lock/runtime.txt
	PIP_CONSTRAINT= .cache/lock/bin/python -m pip install --quiet --upgrade --requirement requirements/dev.txt --requirement .cache/lock/runtime.txt
	{ sed -n '/^#/p' requirements/constraints.txt; .cache/lock/bin/python -m pip freeze --all --exclude setuptools; } > .cache/lock/constraints.txt
	mv .cache/lock/constraints.txt requirements/constraints.txt

.PHONY: clean  ## remove everything that make made
clean:
	rm -rf .venv .cache target fuzz/artifacts dist demo.db demo.db-state $(CORE) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find python tests scripts benches examples -name __pycache__ -type d -prune -exec rm -rf {} +
