# What a person types. `make` alone lists it.

.PHONY: help build up test bench deb tarball

help:
	@echo 'make up      builds Watchward and runs it on this host, with a live view'
	@echo 'make build   builds the programs into target/release'
	@echo 'make deb     builds Debian packages into target/packages'
	@echo 'make tarball builds programs that run with glibc 2.28 and later, and packs them'
	@echo 'make test    installs what the tests need from Debian, and runs everything'
	@echo 'make bench   measures'

# A collector and an agent on this host; everything they keep lies in var/.
up:
	@cli/prepare var
	@echo 'make up: building (several minutes the first time)'
	@$(MAKE) --no-print-directory build
	@$(TARGET)/release/watchward up --folder var

# The agent has a profile of its own, to be small.
build:
	cargo build --release -p watchward-collector -p watchward
	cargo build --profile agent -p watchward-agent -p watchward-enforcer
	@ln -f $(TARGET)/agent/watchward-agent $(TARGET)/agent/watchward-enforcer $(TARGET)/release/

# Built where the oldest Debian runs that they are for.
deb: build
	cargo build --release -p watchward-packaging
	@packaging/deb $(TARGET)/release $(TARGET)/packages

tarball:
	@packaging/tarball $(TARGET)

# Figures are CPU time. They are worth something on a quiet machine only.
bench:
	@cli/prepare var
	@$(MAKE) --no-print-directory build
	cargo bench -p watchward-tests --bench figures -- $(FIGURES)

# All targets at once, so that what the scenarios run is built with what is tested beside it.
test:
	@tests/install
	@rm -f $(TARGET)/skipped-scenarios
	cargo build --workspace --all-targets
	CARGO_TARGET_$(TRIPLE)_RUNNER=$(CURDIR)/tests/runner cargo test --workspace --no-fail-fast
	@tests/skipped

TARGET = $(or $(CARGO_TARGET_DIR),target)
TRIPLE = $(shell rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
