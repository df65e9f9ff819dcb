# The one place for commands: people and CI call the same targets. `make help` lists them.
# Everything runs from .venv, which `make setup` builds from python3 alone with the locked dependencies.

PYTHON ?= python3
VENV ?= .venv
READY := $(VENV)/.ready
# The bench compares with peers that their makers built with every optimisation, so it takes an interpreter that was too:
# the distribution's, in an environment of its own. One built from source mostly is not, and each request costs more.
BENCH_PYTHON ?= $(shell for python in /usr/bin/python3 $(PYTHON); do $$python -c \
  'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BENCH_VENV = $(if $(filter $(PYTHON),$(BENCH_PYTHON)),.venv,.venv-bench)
# What npm writes when it has installed everything; without a registry it stays away and the run says so.
NPM := tests/peers/oidc/node_modules/.package-lock.json tests/peers/mcp/node_modules/.package-lock.json

# Tests that start gateways wait half of their time: one more than there are cores is at work, and at most four.
TESTERS ?= $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$((cores < 3 ? cores + 1 : 4)))

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup serve dev test-jwt example-jwt check test test-peers documents bench soak fuzz live-coze docs lock always

help: ## This list
	@echo "Targets (ARGS=... passes options on):"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1 \2/p' Makefile | while read -r name text; do \
	  printf '  %-12s %s\n' "$$name" "$$text"; done

setup: $(READY) $(NPM) ## Make .venv with the locked dependencies and jotgate itself
	@echo ".venv is ready"

serve: $(READY) ## Start jotgate (ARGS="--port 9000 --data DIR ...")
	@.venv/bin/jotgate up $(ARGS)

dev: $(READY) ## Start the Coze proxy, open to this machine alone (reads .env; ARGS="--port 9000 ...")
	@.venv/bin/jotgate up --preset coze-proxy --open-local $(ARGS)

test-jwt: $(READY) ## Try the paths of the token at the Coze proxy that listens at PORT
	@.venv/bin/python scripts/coze_jwt.py check $(ARGS)

example-jwt: $(READY) ## Sessions, a chat, a stream and a workflow at the Coze proxy that listens at PORT
	@.venv/bin/python scripts/coze_jwt.py example $(ARGS)

check: $(READY) ## Style, formatting, types, import rings
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

test: check $(NPM) ## check, every test that needs Python alone (real peers come as wheels), the documents' ledger
	@.venv/bin/pytest -m "not peers" -n $(TESTERS) --dist loadfile $(ARGS)
	@$(MAKE) documents

# pytest's exit status 5 means that no test carries the mark.
test-peers: $(READY) ## Tests that need a program of the system (gcc, haproxy) or privileges
	@.venv/bin/pytest -m peers $(ARGS); status=$$?; \
	  if [ $$status -eq 5 ]; then echo "test-peers: no test needs the system yet"; exit 0; fi; \
	  exit $$status

documents: $(READY) ## The ledger of the five documents: every line accounted for
	@.venv/bin/python -m tests.documents $(ARGS)

bench: $(NPM) ## Measure jotgate beside nginx and Envoy (20 minutes; needs gcc; ARGS="--quick")
	@$(MAKE) PYTHON=$(BENCH_PYTHON) VENV=$(BENCH_VENV) $(BENCH_VENV)/.ready
	@$(BENCH_VENV)/bin/python -m bench $(ARGS)

soak: $(READY) $(NPM) ## Spend quotas, reload, kill, rotate keys under load (half an hour; ARGS="--quick")
	@.venv/bin/python -m bench.soak $(ARGS)

fuzz: $(READY) ## 20,000 malformed requests and tokens against a running jotgate (ARGS="--quick")
	@.venv/bin/python -m bench.fuzz $(ARGS)

live-coze: $(READY) ## Compare Coze's stand-in with the live service (COZE_BOT_ID and COZE_API_KEY; says what else)
	@.venv/bin/python -m jotgate.testing.coze_live $(ARGS)

docs: ## Build the documentation
	@echo "docs: nothing to build yet; read README.md and docs/ as they are"

lock: ## Write requirements/*.txt anew from pyproject.toml (ARGS=--upgrade for newer versions)
	@set -e; uv=$$(mktemp -d); trap 'rm -rf "$$uv"' EXIT; \
	  $(PYTHON) -m venv "$$uv"; "$$uv/bin/python" -m pip install --quiet --disable-pip-version-check uv; \
	  compile() { "$$uv/bin/uv" pip compile --quiet pyproject.toml --overrides requirements/overrides.txt \
	    --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --custom-compile-command "make lock" $(ARGS) "$$@"; }; \
	  compile -o requirements/runtime.txt; \
	  compile --extra postgresql -o requirements/postgresql.txt; \
	  compile --extra valkey -o requirements/valkey.txt; \
	  compile --extra fastapi -o requirements/fastapi.txt; \
	  compile --extra grpc -o requirements/grpc.txt; \
	  compile --extra fastapi --extra grpc --extra postgresql --extra valkey --group dev --group peers -o requirements/dev.txt

# The stamp holds the directory it was made for: an environment does not survive a move of its tree, and is then
# made from nothing.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
$(READY): always
endif

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "jotgate needs Python 3.11 or newer, and '$(PYTHON)' is not: make setup PYTHON=/path/to/python3.11" >&2; \
	  exit 1; }
	@moved=; if [ -f $(READY) ] && [ "$$(cat $(READY))" != "$(CURDIR)" ]; then moved=--clear; fi; \
	  $(PYTHON) -m venv $$moved $(VENV) || { \
	  echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
	  -r requirements/dev.txt
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@# Where Python may write no bytecode, each of the many processes that tests start would compile all of it again.
	@$(VENV)/bin/python -m compileall -q src
	@printf '%s' "$(CURDIR)" > $(READY)

$(NPM): tests/peers/%/node_modules/.package-lock.json: tests/peers/%/package-lock.json | $(READY)
	@$(VENV)/bin/python -m tests.peers.install $*
