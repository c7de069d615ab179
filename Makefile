# Everything a person or CI runs. `make` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 30
export JOBS

sources = $$(git ls-files -co --exclude-standard -- '*.cpp' '*.hpp')
clang_format = clang-format-19 --style=file --fallback-style=none
targets = ninja -C build/$(1) -t targets all | sed -n 's/^\($(2)\): phony$$/\1/p'
env = source tools/env.sh;

.PHONY: help
help: ## this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: ## install what is needed to build and run it (Debian 12, as root)
	@tools/setup.sh build

.PHONY: build
build: web ## bin/kubernaut
	@cmake --preset dev --log-level=WARNING
	@cmake --build build/dev -j $(JOBS) --target kubernaut
	@mkdir -p bin && ln -sf ../build/dev/apps/kubernaut/kubernaut bin/kubernaut

.PHONY: demo
demo: setup build ## build it and run a hub with simulated clusters and faults
	@exec bin/kubernaut demo

.PHONY: test
test: ## install what is missing, build everything, run every test
	@tools/setup.sh test
	@$(MAKE) testbed web
	@mkdir -p bin && ln -sf ../build/dev/apps/kubernaut/kubernaut bin/kubernaut
	@tools/test.sh dev $(CTEST_ARGS)

.PHONY: asan tsan
asan: ## every test under the address and undefined behaviour sanitizers
	@tools/test.sh asan $(CTEST_ARGS)
tsan: ## every test under the thread sanitizer
	@tools/test.sh tsan $(CTEST_ARGS)

.PHONY: coverage
coverage: ## every test, then line coverage of libs, adapters and apps
	@tools/test.sh coverage $(CTEST_ARGS)
	@tools/coverage.sh

.PHONY: bench
bench: web ## every benchmark, optimised
	@cmake --preset release --log-level=WARNING
	@cmake --build build/release -j $(JOBS) --target $$($(call targets,release,[a-z0-9_]*_bench))
	@for bench in $$(find build/release -type f -executable -name '*_bench' | sort); do \
	    echo "== $$(basename $$bench)"; $$bench; done

.PHONY: peers
peers: build/peers/measure.py ## Python libraries beside which `kubernaut bench patterns` measures itself
build/peers/measure.py: tools/peers/requirements.txt tools/peers/requirements-source.txt tools/peers/measure.py
	@mkdir -p build && python3 -m venv build/peers
	@build/peers/bin/pip install --quiet --disable-pip-version-check --only-binary=:all: -r tools/peers/requirements.txt
	@build/peers/bin/pip install --quiet --disable-pip-version-check -r tools/peers/requirements-source.txt || \
	    echo "what is compiled here could not be; the benchmark skips it"
	@cp tools/peers/measure.py $@

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZ_SECONDS each (30)
	@cmake --preset fuzz --log-level=WARNING
	@cmake --build build/fuzz -j $(JOBS) --target $$($(call targets,fuzz,fuzz_[a-z0-9_]*))
	@for target in $$(find build/fuzz -type f -executable -name 'fuzz_*' | sort); do \
	    name=$$(basename $$target); echo "== $$name"; mkdir -p build/fuzz/corpus/$$name; \
	    $$target -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_final_stats=1 \
	        -artifact_prefix=build/fuzz/$$name- build/fuzz/corpus/$$name; done

.PHONY: testbed
testbed: ## bin/kubernaut-testbed: real Kubernetes control planes for tests, one binary a version
	@mkdir -p bin && for version in $$(ls -d tests/testbed/v1.* | xargs -n1 basename); do \
	    binary=$$(tests/testbed/build.sh $$version) && ln -sfn "$$binary" bin/kubernaut-testbed-$$version; done
	@ln -sfn "$$(readlink bin/kubernaut-testbed-v1.36)" bin/kubernaut-testbed

.PHONY: web
web: web/dist/index.html ## the operations page

# An empty page folder is no error: the hub then serves the API alone.
web/dist/index.html: $(shell [ -d web ] && find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -print)
	@[ ! -f web/package.json ] || { $(env) cd web; \
	    [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund; \
	    npm run build && touch dist/index.html; }

.PHONY: format
format: ## rewrite all C++ and Go sources in the project's format
	@$(clang_format) -i $(sources)
	@$(env) gofmt -w tests/testbed

.PHONY: lint
lint: ## check format and run clang-tidy (FILES=... for some)
	@$(clang_format) --dry-run --Werror $(sources)
	@$(env) test -z "$$(gofmt -l tests/testbed)"
	@cmake --preset dev --log-level=WARNING
	@run-clang-tidy-19 -quiet -p build/dev -j $(JOBS) $(or $(FILES),'$(CURDIR)/(libs|adapters|apps)/.*')

.PHONY: clean
clean: ## remove what was built in this folder
	@rm -rf build bin web/dist web/node_modules
