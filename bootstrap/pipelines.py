"""Azure DevOps: pipelines, variable groups, environments with their checks, and authorizations of pipelines.

A pipeline is authorized for the resources that it needs: a new pipeline asks for permission before it deploys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_azuredevops as azuredevops

from bootstrap.naming import (
    ARM_CONNECTION,
    CI_GROUP,
    REGISTRY_CONNECTION,
    WEBHOOK_CONNECTION,
    deployment_environment,
    environment_connection,
    slug,
    workspace_connection,
)
from bootstrap.settings import Environment, Repository

_LOCK_MINUTES = 1440


@dataclass(frozen=True, kw_only=True)
class PipelineSpec:
    """A YAML file and the resources that it uses: environments ("prod", "staging-runs"), groups, connections."""

    name: str
    path: str
    environments: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    connections: tuple[str, ...] = ()


def specs(environments: Sequence[str]) -> list[PipelineSpec]:
    """Return the pipelines of the repository.

    A retraining runs in every environment but the last, which receives promoted models.
    """
    groups = tuple(deployment_environment(environment) for environment in environments)
    preview = environment_connection("preview")
    deploying = tuple(environment_connection(environment) for environment in environments)
    first, last = environments[0], environments[-1]
    training = [environment for environment in environments if environment != last] or [last]
    return [
        PipelineSpec(
            name="dataopsml",
            path="azure-pipelines.yml",
            environments=tuple(environments),
            groups=groups,
            connections=(preview, *deploying, REGISTRY_CONNECTION, *map(workspace_connection, environments)),
        ),
        PipelineSpec(
            name="dataopsml-ci-image",
            path="pipelines/ci-image.yml",
            groups=(CI_GROUP,),
            connections=(REGISTRY_CONNECTION,),
        ),
        PipelineSpec(name="dataopsml-nightly", path="pipelines/nightly.yml"),
        PipelineSpec(name="dataopsml-drift", path="pipelines/drift.yml", groups=groups, connections=deploying),
        PipelineSpec(name="dataopsml-watch", path="pipelines/watch.yml", groups=groups, connections=deploying),
        PipelineSpec(
            name="dataopsml-retrain",
            path="pipelines/retrain.yml",
            environments=(*(f"{environment}-runs" for environment in training), last),
            groups=groups,
            connections=(*deploying, WEBHOOK_CONNECTION),
        ),
        PipelineSpec(
            name=f"dataopsml-promote-{last}",
            path="pipelines/promote.yml",
            environments=(last,),
            groups=(deployment_environment(last),),
            connections=(environment_connection(last),),
        ),
        PipelineSpec(
            name=f"dataopsml-destroy-{first}",
            path="pipelines/destroy.yml",
            environments=(first,),
            groups=(deployment_environment(first),),
            connections=(environment_connection(first),),
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class PipelinesArgs:
    """`groups`: variables by group; `connections`: ids by name; `repository_id` as the pipeline definition has it."""

    project_id: pulumi.Input[str]
    repository: Repository
    repository_id: pulumi.Input[str]
    environments: Sequence[Environment]
    groups: Mapping[str, Mapping[str, pulumi.Input[str]]]
    connections: Mapping[str, pulumi.Input[str]]


class Pipelines(pulumi.ComponentResource):
    """All resources of the project but service connections. The provider comes with `opts.providers`."""

    def __init__(self, name: str, args: PipelinesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:bootstrap:Pipelines", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        pipelines = specs([environment.name for environment in args.environments])
        groups = {group: self._group(group, variables) for group, variables in args.groups.items()}
        environments = {
            name: self._environment(name)
            for name in dict.fromkeys(name for spec in pipelines for name in spec.environments)
        }
        for spec in pipelines:
            pipeline = self._pipeline(spec)
            for group in spec.groups:
                self._authorize(spec, pipeline, "variablegroup", group, groups[group].id)
            for environment in spec.environments:
                label = deployment_environment(environment)
                self._authorize(spec, pipeline, "environment", label, environments[environment].id)
            for connection in spec.connections:
                self._authorize(spec, pipeline, "endpoint", connection, args.connections[connection])
            if spec.path == "azure-pipelines.yml":
                self._require_build(pipeline)
        self.register_outputs({})

    def _group(self, group: str, variables: Mapping[str, pulumi.Input[str]]) -> azuredevops.VariableGroup:
        return azuredevops.VariableGroup(
            f"{self._name}-{group}",
            name=group,
            project_id=self._args.project_id,
            description="Written by bootstrap/; none of it is a secret.",
            allow_access=False,
            variables=[
                azuredevops.VariableGroupVariableArgs(name=variable, value=value)
                for variable, value in variables.items()
            ],
            opts=self._child,
        )

    def _environment(self, environment: str) -> azuredevops.Environment:
        """Declare an environment with one deployment at a time, which an approver confirms where there is one."""
        label = deployment_environment(environment)
        declared = azuredevops.Environment(
            f"{self._name}-{label}", name=label, project_id=self._args.project_id, opts=self._child
        )
        settings = next((candidate for candidate in self._args.environments if candidate.name == environment), None)
        azuredevops.CheckExclusiveLock(
            f"{self._name}-{label}-lock",
            project_id=self._args.project_id,
            target_resource_id=declared.id,
            target_resource_type="environment",
            timeout=_LOCK_MINUTES,
            opts=self._child,
        )
        if settings is not None and settings.approvers:
            azuredevops.CheckApproval(
                f"{self._name}-{label}-approval",
                project_id=self._args.project_id,
                target_resource_id=declared.id,
                target_resource_type="environment",
                approvers=list(settings.approvers),
                minimum_required_approvers=1,
                requester_can_approve=False,
                timeout=settings.approval_minutes,
                instructions=f"Read the stage Preview_{environment} before you approve.",
                opts=self._child,
            )
        return declared

    def _pipeline(self, spec: PipelineSpec) -> azuredevops.BuildDefinition:
        repository = self._args.repository
        azure_repos = repository.kind == "azure_repos"
        return azuredevops.BuildDefinition(
            f"{self._name}-{spec.name}",
            name=spec.name,
            path="\\dataopsml",
            project_id=self._args.project_id,
            repository=azuredevops.BuildDefinitionRepositoryArgs(
                repo_type="TfsGit" if azure_repos else "GitHub",
                repo_id=self._args.repository_id,
                branch_name=f"refs/heads/{repository.branch}" if azure_repos else repository.branch,
                yml_path=spec.path,
                service_connection_id=repository.connection_id,
            ),
            ci_trigger=azuredevops.BuildDefinitionCiTriggerArgs(use_yaml=True),
            features=[azuredevops.BuildDefinitionFeatureArgs(skip_first_run=True)],
            opts=self._child,
        )

    def _authorize(
        self,
        spec: PipelineSpec,
        pipeline: azuredevops.BuildDefinition,
        kind: str,
        label: str,
        resource_id: pulumi.Input[str],
    ) -> None:
        azuredevops.PipelineAuthorization(
            f"{self._name}-{spec.name}-{kind}-{slug(label)}",
            project_id=self._args.project_id,
            resource_id=resource_id,
            type=kind,
            pipeline_id=pipeline.id.apply(int),
            opts=self._child,
        )

    def _require_build(self, pipeline: azuredevops.BuildDefinition) -> None:
        """Declare the branch policy that starts a pull request's build in Azure Repos; on GitHub the YAML does."""
        repository = self._args.repository
        if repository.kind != "azure_repos":
            return
        azuredevops.BranchPolicyBuildValidation(
            f"{self._name}-pull-requests",
            project_id=self._args.project_id,
            blocking=True,
            enabled=True,
            settings=azuredevops.BranchPolicyBuildValidationSettingsArgs(
                build_definition_id=pipeline.id.apply(int),
                display_name="Lint, tests and previews",
                valid_duration=720,
                scopes=[
                    azuredevops.BranchPolicyBuildValidationSettingsScopeArgs(
                        repository_id=self._args.repository_id,
                        repository_ref=f"refs/heads/{repository.branch}",
                        match_type="Exact",
                    )
                ],
            ),
            opts=self._child,
        )


def connection_names(environments: Sequence[str]) -> list[str]:
    """Return the names of all service connections: the pipelines', and the sample's own, which only reads."""
    used = [connection for spec in specs(environments) for connection in spec.connections]
    return list(dict.fromkeys([ARM_CONNECTION, *used]))
