# What a person types. `make` alone lists it.

.PHONY: help up test bench

help:
	@echo 'make up      builds Watchward and runs it on this host, with a live view'
	@echo 'make test    installs what the tests need from Debian, and runs everything'
	@echo 'make bench   measures'

# A collector and an agent on this host; everything they keep lies in var/.
up:
	@cli/prepare var
	@echo 'make up: building (a few minutes the first time)'
	cargo build --release -p watchward-collector -p watchward-agent -p watchward
	@$(or $(CARGO_TARGET_DIR),target)/release/watchward up --folder var

# Figures are CPU time. They are worth something on a quiet machine only.
bench:
	@cli/prepare var
	cargo build --release -p watchward-collector -p watchward-agent -p watchward
	cargo bench -q -p watchward-tests --bench figures

# All targets at once, so that what the scenarios run is built with what is tested beside it.
test:
	@tests/install
	@rm -f target/skipped-scenarios
	cargo build --workspace --all-targets
	CARGO_TARGET_$(TRIPLE)_RUNNER=$(CURDIR)/tests/runner cargo test --workspace --no-fail-fast
	@tests/skipped

TRIPLE = $(shell rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
