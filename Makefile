# Every verb of the project. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Every verb imports megabytes of the vendors' code, which takes seconds each time where no compiled code is kept.
unexport PYTHONDONTWRITEBYTECODE

DATA ?=
PIPELINE ?=
PARAMS ?=
STACK ?= local
FORCE ?=
# Values of these variables are text. make would expand `$(...)` in them, and a shell everything in a recipe's line, so
# they are taken as they stand and handed on by the environment: recipes write "$$DATA", never $(DATA).
TEXTS := DATA PIPELINE PARAMS STACK FROM TO CODE_VERSION MODEL_VERSION AMLRUN_ID RELEASE TIER REGISTRY INCOMING WITH_DATA KEEP_DEFAULT \
	DRY_RUN YES QUIET SWITCH NAME CHANGES UPGRADE PLUGINS FORCE RUN FILE AGAIN \
	DEPLOYMENT
$(foreach name,$(TEXTS),$(if $(filter-out undefined,$(origin $(name))),$(eval override $(name) := $$(value $(name)))\
	$(eval export $(name))))
# localcloud keeps its state in the checkout, and its tools where all checkouts find them. DATAOPSML_CACHE is the cache's
# earlier name.
export LOCALCLOUD_HOME ?= $(CURDIR)/.localcloud
export LOCALCLOUD_CACHE ?= $(or $(DATAOPSML_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dataopsml)
export LOCALCLOUD_STATE_GROUP ?= rg-dataopsml-state
export LOCALCLOUD_STATE_ACCOUNT ?= stdataopsmlstate
export LOCALCLOUD_STATE_CONTAINER ?= state-local
# PLUGINS=vendor: the vendors' own provider plugins where the machine has them, on PATH or in PULUMI_HOME.
export LOCALCLOUD_PLUGINS ?= $(PLUGINS)
BIN := .venv/bin
PYTHON_BIN := $(BIN)/python
PULUMI_UP = pulumi up --stack "$$STACK" $(POLICY) --yes --skip-preview --suppress-permalink=true
# The CLI's file of `pulumi stack select`: running the CLI takes a fifth of a second.
SELECTED = grep -qsF "\"$$PULUMI_BACKEND_URL\": \"organization/dataopsml/$$STACK\"" "$$PULUMI_HOME"/workspaces/dataopsml-*.json
# The resource providers that the stack needs, registered as the bootstrap does on Azure.
REGISTER = --register "$$($(PYTHON_BIN) -I -S contract/resource_providers.py)"
START = $(PYTHON_BIN) -m localcloud start $(REGISTER)
# Inputs of `pulumi up`: the program and its imports, the stack's settings, the policies with their configuration, the
# lock, the stack's state, and the resources behind it. Publications of `mlops` and registrations of runs are passing.
PASSING = 'microsoft.machinelearningservices/workspaces/batchendpoints properties.defaults' \
	'microsoft.machinelearningservices/workspaces/onlineendpoints properties.traffic' \
	microsoft.machinelearningservices/workspaces/onlineendpoints/deployments \
	$(patsubst %,microsoft.machinelearningservices/workspaces/%,components environments models codes data)
READS = --key-file "$$LOCALCLOUD_HOME/unchanged-$$STACK.json" \
	--paths __main__.py infra declarations contract policy 'mlops/pipelines/*/pipeline.yml' Pulumi.yaml \
	"Pulumi.$$STACK.yaml" requirements.txt Makefile pipelines/targets.mk --programs pulumi \
	--variables DATA STACK POLICIES PLUGINS LOCALCLOUD_PLUGINS 'PULUMI_*' 'ARM_*' 'AZURE_*' 'DATABRICKS_*' 'DATAOPSML_*' \
	--blobs "$$LOCALCLOUD_STATE_ACCOUNT/$$LOCALCLOUD_STATE_CONTAINER/.pulumi/stacks/dataopsml/$$STACK.json" \
	--passing $(PASSING) \
	--message 'Nothing that `pulumi up` reads has changed since it last succeeded: skipped. FORCE=1 runs it.'
# Tools, localcloud, the shell's variables and `unchanged`, in one start of Python. Its output for people goes by way of 4.
BEGIN = { variables="$$($(PYTHON_BIN) -m localcloud enter $(REGISTER) --shell 3 $(READS) $(if $(FORCE),--force) \
	3>&1 >&4 4>&-)"; } 4>&1; eval "$$variables"
# The stack's outputs as of its last update, for `mlops up`: the state is the same for as long as nothing has changed.
OUTPUTS = "$$LOCALCLOUD_HOME/outputs-$$STACK.json"
# By way of a file of this command's own: another `make up` may read them, or write them too.
WRITE_OUTPUTS = pulumi stack output --json --stack "$$STACK" >$(OUTPUTS).$$$$ && mv $(OUTPUTS).$$$$ $(OUTPUTS) \
	|| { rm -f $(OUTPUTS).$$$$; exit 1; }
# In two commands: a shell does not end at a substitution that failed inside of `eval`.
ENTER := variables="$$($(PYTHON_BIN) -m localcloud env)"; eval "$$variables"

.PHONY: help up run score serve invoke watch test test-fast test-nightly faults lint lint-beside tests-beside format status logs open env down destroy bootstrap graph clean benchmark lock tools

##@ Train
help: ## list the verbs
	@awk -f tools/help.awk $(MAKEFILE_LIST)

.venv/installed: requirements.txt tools/venv.sh $(wildcard packages/*/pyproject.toml)
	@tools/venv.sh

# Packages that `make up` does not need: tests, lint, and the clients that judge localcloud.
.venv/development: .venv/installed requirements-dev.txt
	@tools/venv.sh development

tools: .venv/installed
	@$(PYTHON_BIN) -m localcloud.engine

up: export POLICIES = $(POLICY)
up: .venv/installed ## from clone to registered model on this machine: make up [PIPELINE=name] [DATA=my.csv] [PARAMS="alpha=0.3"] [PLUGINS=vendor] [FORCE=1]
	@$(if $(DATA)$(PIPELINE)$(PARAMS),$(PYTHON_BIN) -m mlops check-data $(if $(DATA),--data "$$DATA"))
	@$(BEGIN); \
	if [ -z "$${unchanged:-}" ]; then \
	$(SELECTED) || pulumi stack select "$$STACK" --create >/dev/null; \
	python -m pipelines.up --mend localcloud.engine.stale_locks --stack "$$STACK" -- $(PULUMI_UP) || exit 1; \
	$(WRITE_OUTPUTS); python -m localcloud unchanged record $(READS) || true; fi; \
	if [ ! -s $(OUTPUTS) ]; then $(WRITE_OUTPUTS); fi; \
	python -m mlops up --stack "$$STACK" --outputs $(OUTPUTS) $(if $(DATA),--data "$$DATA")

run: ## train again; unchanged steps are reused, not with FORCE=1: make run [PIPELINE=name] [PARAMS="alpha=0.3"] [FORCE=1]
	@$(ENTER); python -m mlops run --stack "$$STACK" $(if $(DATA),--data "$$DATA") $(if $(FORCE),--force)

score: ## score a file, or all incoming files, with the model that serves: make score [FILE=new.csv] [PIPELINE=name] [AGAIN=1]
	@$(ENTER); python -m mlops score --stack "$$STACK" $(if $(AGAIN),--again) $(if $(FILE),-- "$$FILE",--incoming)

serve: ## let the version that serves answer requests at its online endpoint: make serve [PIPELINE=name]
	@$(ENTER); python -m mlops serve --stack "$$STACK"

invoke: ## ask the online endpoint: make invoke FILE=request.json [PIPELINE=name] [DEPLOYMENT=blue]
	@$(ENTER); python -m mlops invoke --stack "$$STACK" --file "$${FILE:?make invoke FILE=request.json}" $(if $(DEPLOYMENT),--deployment "$$DEPLOYMENT")

watch: ## show how scored files differ from the training data: make watch [PIPELINE=name] [LAST=5]
	@$(ENTER); python -m mlops watch --stack "$$STACK" $(if $(LAST),--last "$$LAST")

##@ Test
# Files of tests run side by side, in the order in which they are collected: the long ones come first, and by the number of
# their tests they would come last. WORKERS= runs them in one process, in which a debugger works.
WORKERS ?= -n 3 --dist loadfile --no-loadscope-reorder
test: tools .venv/development ## lint and all tests: unit, Spark, localcloud through the real clients, end to end
	@$(BESIDE)

test-fast: export TESTS = tests/unit tests/spark
test-fast: .venv/development ## lint, unit tests of the product and Spark: minutes
	@$(BESIDE)

# Lint runs beside the tests, which wait a good part of their time, and its output comes in one piece. Ruff comes before: it
# takes a second. Tests call make themselves, with nothing of this one's jobs and variables.
ALONE = unset MAKEFLAGS MFLAGS MAKELEVEL $(TEXTS);
BESIDE = $(BIN)/ruff check . && $(MAKE) --jobs=2 lint-beside tests-beside
lint-beside:
	@mkdir -p $(BUILD); code=0; $(MAKE) lint >$(BUILD)/lint.txt 2>&1 || code=$$?; cat $(BUILD)/lint.txt; exit $$code

# In a fresh environment one process compiles what the workers import, which each of them would do otherwise.
tests-beside:
	@if [ ! -e .venv/compiled ]; then $(PYTHON_BIN) -m pytest --collect-only -q $${TESTS:-} >/dev/null && touch .venv/compiled; fi; \
	$(ALONE) $(PYTHON_BIN) -m pytest $(WORKERS) $${TESTS:-}

test-nightly: tools .venv/development ## tests that make test leaves out, or one tier of them: make test-nightly [TIER=upgrade]
	@tier="$${TIER:-nightly or upgrade or rehearsal or models}" report="$(BUILD)/tests-$${TIER:-all-nightly}.xml"; \
	$(ALONE) $(PYTHON_BIN) -m pytest -m "$$tier" --junitxml="$$report"

faults: tools .venv/development ## kills, races, injected faults and damage of states, and a table of them: half an hour
	@$(ALONE) $(PYTHON_BIN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -p tests.faults.table -m "faults or fault_kind"

lint: .venv/development ## ruff, strict types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(MAKE) lint-pipelines

format: .venv/development ## let ruff format and mend the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

##@ Look
status: .venv/installed ## state of localcloud and of the last pipeline run
	@$(PYTHON_BIN) -m localcloud status
	@$(ENTER); python -m mlops status --stack "$$STACK"

logs: .venv/installed ## follow localcloud's logs (Ctrl-C ends it)
	@$(PYTHON_BIN) -m localcloud logs --follow

open: .venv/installed ## print a link that signs a browser in to the pages of runs and MLflow
	@$(PYTHON_BIN) -m localcloud open

env: .venv/installed ## variables for a shell: eval "$(make env)"
	@ln -sf ../../tools/mlops .venv/bin/mlops
	@$(PYTHON_BIN) -m localcloud env

##@ Stop and delete
down: .venv/installed ## stop localcloud, keep everything
	@$(PYTHON_BIN) -m localcloud stop

destroy: .venv/installed ## pulumi destroy: delete the stack's resources
	@$(ENTER); \
	python -m pipelines.up --mend localcloud.engine.stale_locks --stack "$$STACK" -- \
	pulumi destroy --stack "$$STACK" --yes --skip-preview --suppress-permalink=true || exit 1; \
	python -m infra.purge --stack "$$STACK"

##@ Maintain
bootstrap: .venv/installed ## resources that exist once, before the first stack on Azure: make bootstrap [DRY_RUN=1]
	@$(PYTHON_BIN) -m bootstrap up $(if $(DRY_RUN),--dry-run)

graph: .venv/installed ## draw the stack's resources by component: docs/platform.md
	@$(ENTER); pulumi stack export --stack "$$STACK" | python -m infra.graph docs/platform.md

##@ Stop and delete
clean: ## forget everything: localcloud's state, its stacks and data
	@if [ -x $(PYTHON_BIN) ]; then $(PYTHON_BIN) -m localcloud clean --yes; fi

##@ Maintain
benchmark: tools .venv/development ## ratios against floors measured in the same run
	@$(PYTHON_BIN) -m packages.localcloud.benchmarks

lock: .venv/installed ## resolve requirements.in and requirements-dev.in into their locks: make lock [UPGRADE=package]
	@for name in requirements requirements-dev; do \
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	$${UPGRADE:+--upgrade-package "$$UPGRADE"} $$name.in -o $$name.txt; done

include pipelines/targets.mk
