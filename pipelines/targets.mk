# The pipelines' verbs. They take their cloud and sign-in from the environment: on an agent pipelines/session.sh sets it, on a
# workstation `az login` and PULUMI_BACKEND_URL, on this machine `eval "$(make env)"`.
BUILD := build
PULUMI := pulumi --non-interactive
CONFIGURE = $(PYTHON_BIN) -m pipelines.agent configure "$$STACK"
POLICY = --policy-pack policy $(addprefix --policy-pack-config ,$(wildcard policy/config/$(STACK).json))
CI_REPOSITORY = $(if $(REGISTRY),$$REGISTRY,$(error REGISTRY is not set: make $@ REGISTRY=name.azurecr.io))/dataopsml/ci
CI_IMAGE = $(CI_REPOSITORY):$$($(PYTHON3) -m pipelines.agent.image)
PYTHON3 ?= python3
ORGANISATION := pipelines/rehearsal/organisation.yml
# Where pipelines/ci-image/Dockerfile puts the locked packages.
CI_HOME := /opt/dataopsml

.PHONY: agent preview deploy undeploy drift publish smoke report cancel schedule schedule-check episodes score-sample share promote rollback release release-check comment work-item work-items \
	state-restore test-report lint-pipelines ci-image ci-image-scan ci-image-push verify-azure rehearse

##@ Pipelines: the platform
agent: ## get an agent ready: the CI image's packages or else its own, tools on PATH
	@if [ ! -e .venv ] && cmp -s requirements.txt $(CI_HOME)/requirements.txt \
	&& cmp -s requirements-dev.txt $(CI_HOME)/requirements-dev.txt; then ln -s $(CI_HOME)/.venv .venv; fi
	@$(MAKE) .venv/development
	@command -v pulumi >/dev/null || $(PYTHON_BIN) -m localcloud.engine
	@$(PYTHON_BIN) -m pipelines.agent path

preview: ## changes that `make deploy` would make: make preview STACK=dev
	@mkdir -p $(BUILD)
	@$(CONFIGURE)
	@$(PULUMI) preview --stack "$$STACK" $(POLICY) --diff --suppress-permalink=true 2>&1 | tee "$(BUILD)/preview-$$STACK.txt"

deploy: ## pulumi up with the policy pack: make deploy STACK=dev
	@$(CONFIGURE)
	@$(PYTHON_BIN) -m pipelines.up -- $(PULUMI) up --stack "$$STACK" $(POLICY) --yes --skip-preview \
	--suppress-permalink=true

undeploy: ## pulumi destroy, dev only
	@if [ "$$STACK" != dev ]; then echo "Only the stack dev can be destroyed this way, not $$STACK." >&2; exit 1; fi
	@$(PULUMI) destroy --stack "$$STACK" --yes --skip-preview --suppress-permalink=true
	@$(PYTHON_BIN) -m infra.purge --stack "$$STACK"

drift: ## is all as the stack says: make drift STACK=dev
	@$(CONFIGURE)
	@$(PYTHON_BIN) -m pipelines.agent drift "$$STACK" "$(BUILD)/drift-$$STACK.txt"

state-restore: .venv/installed ## the copies of a stack's state, or back to one: make state-restore STACK=dev [FROM=latest] [DRY_RUN=1]
	@$(PYTHON_BIN) -m pipelines.state --stack "$$STACK" --from "$${FROM:-}" $(if $(DRY_RUN),--dry-run)

##@ Pipelines: training and models
publish: ## publish notebooks, components and pipeline: make publish STACK=dev
	@$(PYTHON_BIN) -m mlops publish --stack "$$STACK" $(if $(TF_BUILD),--azure-devops) $(if $(WITH_DATA),--with-data $(if $(DATA),--data "$$DATA")) \
	$(if $(KEEP_DEFAULT),--keep-default)

# Azure Pipelines says why a build runs in BUILD_REASON: a weekly one leaves the training to a schedule that is on.
smoke: ## run the published pipeline, all of it, and wait: make smoke STACK=dev
	@$(PYTHON_BIN) -m mlops run --force --stack "$$STACK" $(if $(DATA),--data "$$DATA") \
	$(if $(CODE_VERSION),--version "$$CODE_VERSION") $(if $(INCOMING),--incoming $(if $(filter Schedule,$(BUILD_REASON)),--unless-scheduled)) \
	$(if $(TF_BUILD),--azure-devops)

# In a build of the run that `smoke` started, as the build's summary too.
report: ## write the report of a run: make report STACK=dev [RUN=name]
	@$(PYTHON_BIN) -m mlops report --stack "$$STACK" --output "$(BUILD)/report-$$STACK/report.html" \
	$(if $(TF_BUILD),--azure-devops -- "$$AMLRUN_ID",$(if $(RUN),-- "$$RUN"))

# In a build only the run that the build started: AMLRUN_ID, which `smoke` sets as its variable.
cancel: ## cancel the run that is under way: make cancel STACK=dev
	@$(PYTHON_BIN) -m mlops cancel --stack "$$STACK" $(if $(TF_BUILD),--run "$${AMLRUN_ID:-}")

score-sample: ## try the model that serves with some rows, and online where it serves so: make score-sample STACK=staging
	@$(PYTHON_BIN) -m mlops score --stack "$$STACK" --sample
	@$(PYTHON_BIN) -m mlops serve --stack "$$STACK" --if-asked

schedule: ## the pipelines' schedules: make schedule STACK=dev [SWITCH=on|off] [SCORE=1: the scoring schedule]
	@$(PYTHON_BIN) -m mlops schedule "$${SWITCH:-list}" --stack "$$STACK" $(if $(SCORE),--score)

schedule-check: ## fail when a schedule that is on has lost its target: make schedule-check STACK=dev
	@$(PYTHON_BIN) -m mlops schedule check --stack "$$STACK"

episodes: ## episodes that need a person, into a file: make episodes STACK=dev
	@$(PYTHON_BIN) -m mlops episodes --stack "$$STACK" --file "$(BUILD)/episodes-$$STACK.json"

share: ## put the tested model into the shared registry: make share STACK=staging
	@$(PYTHON_BIN) -m mlops share --stack "$$STACK"

# From a stack to itself: a version that it trained after drift, which is in no registry.
promote: ## promote the model: make promote FROM=staging TO=prod [MODEL_VERSION=3]
	@$(PYTHON_BIN) -m mlops promote --from "$${FROM:?make promote FROM=staging TO=prod}" --to "$${TO:?make promote FROM=staging TO=prod}" \
	$(if $(MODEL_VERSION),--model-version "$$MODEL_VERSION") $(if $(TF_BUILD),$(if $(filter-out $(TO),$(FROM)),--shared) --score-sample)

rollback: ## take the last promotion back: make rollback STACK=prod
	@$(PYTHON_BIN) -m mlops rollback --stack "$$STACK"

release:
	@$(PYTHON_BIN) -m pipelines.agent release "$(BUILD)/release-$$STACK"

release-check:
	@$(PYTHON_BIN) -m pipelines.agent check "$${RELEASE:?make release-check RELEASE=folder}"

comment:
	@$(PYTHON_BIN) -m pipelines.agent comment "$$STACK" "$(BUILD)/preview-$$STACK.txt"

work-items:
	@$(PYTHON_BIN) -m pipelines.agent work-items "$(BUILD)/episodes-$$STACK.json"

work-item:
	@$(PYTHON_BIN) -m pipelines.agent work-item "$$STACK" "$(BUILD)/drift-$$STACK.txt"

##@ Pipelines: checks
test-report: tools .venv/development ## tests of one tier with results and coverage as files: make test-report TIER=unit
	@mkdir -p $(BUILD)
	@tier="$${TIER:?make test-report TIER=unit}"; $(ALONE) $(PYTHON_BIN) -m pytest "tests/$$tier" \
	--junitxml="$(BUILD)/tests-$$tier.xml" --cov --cov-report="xml:$(BUILD)/coverage-$$tier.xml"

lint-pipelines: .venv/development
	@$(BIN)/yamllint --strict --config-file pipelines/yamllint.yml azure-pipelines.yml pipelines
	@$(BIN)/pipeline-runner check --organisation $(ORGANISATION)
	@$(BIN)/shellcheck pipelines/session.sh tools/venv.sh
	@$(BIN)/hadolint pipelines/ci-image/Dockerfile

ci-image: ## the image that CI jobs run in, pulled or built: make ci-image REGISTRY=name.azurecr.io
	@docker pull --quiet "$(CI_IMAGE)" 2>/dev/null || \
	docker build --file pipelines/ci-image/Dockerfile --tag "$(CI_IMAGE)" .

ci-image-scan:
	@docker run --rm --volume /var/run/docker.sock:/var/run/docker.sock aquasec/trivy:0.58.1 image \
	--exit-code 1 --severity CRITICAL --ignore-unfixed "$(CI_IMAGE)"

# Under its content's hash; on main also under a name that stays, which pipelines/variables.yml can give to jobs.
ci-image-push:
	@docker push "$(CI_IMAGE)"
	@if [ "$${BUILD_SOURCEBRANCH:-}" = refs/heads/main ]; then \
	docker tag "$(CI_IMAGE)" "$(CI_REPOSITORY):main"; docker push "$(CI_REPOSITORY):main"; fi

verify-azure: .venv/installed ## check a deployed stack against the code's beliefs on Azure: make verify-azure STACK=dev [NAME=azure] [CHANGES=1]
	@$(PYTHON_BIN) -m verification --stack "$$STACK" --as "$${NAME:-azure}" $(if $(CHANGES),--allow-changes)

rehearse: tools .venv/development ## play two commits from dev to prod and the life of a model there: make rehearse [YES=1] [LIFE=1: the life again, without builds]
	@$(START)
	@$(ENTER); $(PYTHON_BIN) -m pipelines.rehearsal $(if $(YES),--yes) $(if $(QUIET),--quiet) $(if $(LIFE),--life-only)
