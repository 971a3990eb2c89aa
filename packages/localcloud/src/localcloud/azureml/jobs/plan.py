"""Plan of a job's runs: steps and sub-pipelines, with inputs bound, outputs placed, and all checked.

The addresses of a step's outputs are fixed before it runs, so that bindings become URIs here; at run time only the
order of steps remains (`spec["needs"]`). Raises ServiceError 400 UserError for a job that Azure ML would refuse, 501
for kinds of jobs that localcloud does not run.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace

from localcloud.azureml import paths
from localcloud.azureml.common import WORKSPACE, user_error
from localcloud.azureml.jobs import expressions, graph, outputs, reuse
from localcloud.azureml.jobs.bindings import Scope, no_value
from localcloud.azureml.jobs.command_plan import CommandPlanner, Defaults
from localcloud.azureml.jobs.expressions import BindingError, ParentInput
from localcloud.azureml.jobs.runs import Run
from localcloud.azureml.jobs.sources import Sources
from localcloud.azureml.jobs.specification import (
    ComponentSpec,
    InputSpec,
    JobSpec,
    OutputDeclaration,
    OutputSpec,
    Settings,
    StepSpec,
    parse,
)
from localcloud.azureml.jobs.values import Refer, Values, conform, input_value
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource


class Planner:
    """Plans one submission."""

    def __init__(self, ctx: Context, workspace: Resource, sources: Sources) -> None:
        self._ctx = ctx
        self._workspace = workspace
        self._sources = sources
        self._commands = CommandPlanner(ctx, workspace)
        self.runs: list[Run] = []

    async def job(self, name: str, job: JobSpec, submitter: Principal) -> list[Run]:
        """Return the job's run, first, and everything below it."""
        run = Run(
            id=name, workspace_id=self._workspace.id, kind=job.job_type.lower(), name=name, root=name,
            experiment=job.experiment_name or "Default", display_name=job.display_name or name,
            description=job.description, submitter=submitter.object_id, tags=dict(job.tags),
            properties=dict(job.properties), hidden=job.is_archived,
        )  # fmt: skip
        self.runs.append(run)
        defaults = Defaults(submitter, datastore=self._default_datastore())
        if job.job_type == "Command":
            self._commands.plan(
                run, job, job, compute=job.compute, defaults=defaults,
                inputs=await self._values(job.inputs, no_value, f"job '{name}'"),
                outputs=_pipeline_outputs(job.outputs, {}, run.path),
            )  # fmt: skip
        elif job.job_type == "Pipeline":
            await self._root_pipeline(run, job, defaults)
        else:
            raise not_emulated(f"jobs of type '{job.job_type}': localcloud runs Command and Pipeline")
        return self.runs

    def _default_datastore(self) -> str:
        stores = self._ctx.resources.children(self._workspace.id, f"{WORKSPACE}/datastores")
        return next((store.name for store in stores if store.properties.get("isDefault")), "workspaceblobstore")

    async def _root_pipeline(self, run: Run, job: JobSpec, defaults: Defaults) -> None:
        subject = f"job '{run.name}'"
        component = self._component(job.component, run.path)[1] if job.component else ComponentSpec()
        inputs = await self._values(job.inputs, no_value, subject)
        if component.inputs:
            inputs = conform(inputs, component.inputs, subject)
        settings = job.settings or Settings()
        defaults = replace(
            self._settings(settings, defaults), compute=job.compute or settings.default_compute, identity=job.identity
        )
        pipeline_outputs = _pipeline_outputs(job.outputs, component.outputs, run.path)
        await self._pipeline(run, job.jobs or component.jobs, inputs, pipeline_outputs, defaults)

    def _settings(self, settings: Settings, defaults: Defaults) -> Defaults:
        if settings.default_datastore:
            name = settings.default_datastore.removeprefix("azureml:").rsplit("/", 1)[-1]
            if self._ctx.resources.get(f"{self._workspace.id}/datastores/{name}") is None:
                raise user_error(f"The default datastore '{name}' was not found in '{self._workspace.name}'.")
            defaults = replace(defaults, datastore=name)
        if settings.continue_on_step_failure is not None:
            defaults = replace(defaults, stop_on_failure=not settings.continue_on_step_failure)
        if settings.force_rerun is not None:
            defaults = replace(defaults, force_rerun=settings.force_rerun)
        if settings.default_compute and settings.default_compute != "serverless":
            defaults = replace(defaults, compute=settings.default_compute)
        return defaults

    async def _pipeline(
        self,
        run: Run,
        steps: Mapping[str, StepSpec],
        inputs: Values,
        pipeline_outputs: dict[str, Json],
        defaults: Defaults,
    ) -> None:
        if not steps:
            raise user_error(f"The pipeline '{run.path}' has no jobs.")
        run.kind = "pipeline"
        run.inputs = {name: dict(value) for name, value in inputs.items() if value is not None}
        run.outputs = {name: {"type": "uri_folder", **output} for name, output in pipeline_outputs.items()}
        run.spec |= {"stop_on_failure": defaults.stop_on_failure}
        scope = Scope(run, inputs, pipeline_outputs)
        for name in graph.ordered(steps, run.path):
            scope.steps[name] = await self._step(name, steps[name], scope, defaults)
        if unbound := sorted(name for name, output in run.outputs.items() if not output.get("uri")):
            raise user_error(f"The output '{unbound[0]}' of pipeline '{run.path}' is not bound to an output of a job.")

    async def _step(self, name: str, step: StepSpec, scope: Scope, defaults: Defaults) -> Run:
        parent = scope.run
        path = f"/{name}" if parent.parent is None else f"{parent.path}/{name}"
        registered, component = None, None
        if isinstance(step.component, ComponentSpec):
            component = step.component
        elif step.component:
            registered, component = self._component(step.component, path)
        work = component or step
        kind = (work.type or step.type or step.job_type or "command").lower()
        if kind not in {"command", "pipeline"}:
            raise not_emulated(f"pipeline steps of type '{kind}' ({path}): localcloud runs command and pipeline")
        run = Run(
            id=str(uuid.uuid4()), workspace_id=self._workspace.id, kind=kind, name=name, root=parent.root,
            parent=parent.id, experiment=parent.experiment, display_name=step.display_name or name,
            description=step.description, submitter=parent.submitter, tags=dict(step.tags),
            properties=_step_properties(parent, name),
        )  # fmt: skip
        run.spec = {
            "path": path,
            "needs": sorted(scope.steps[needed].id for needed in graph.needs(step.inputs)),
            "component": registered and registered.id,
        }
        self.runs.append(run)
        inputs = await self._values(step.inputs, scope.value_of, f"job '{path}'")
        try:
            if component is not None:
                inputs = conform(inputs, component.inputs, f"job '{path}'")
            step_outputs = _step_outputs(step, component, scope, path)
            compute = _step_compute(step, scope)
        except BindingError as error:
            raise user_error(f"The job '{path}' of the pipeline is not valid: {error}") from error
        defaults = replace(defaults, identity=step.identity or work.identity or defaults.identity)
        if kind == "pipeline":
            defaults = self._settings(step.settings or work.settings or Settings(), defaults)
            await self._pipeline(run, work.jobs, inputs, step_outputs, defaults)
        else:
            self._commands.plan(
                run, step, work, compute=compute, inputs=inputs, outputs=step_outputs, defaults=defaults
            )
            places = {name: output.get("uri") for name, output in step_outputs.items()}
            reuse.promise(run, component, places, force_rerun=defaults.force_rerun)
        _promote(step, scope, run)
        return run

    def _component(self, reference: str, path: str) -> tuple[Resource, ComponentSpec]:
        try:
            component = paths.resolve_asset(self._ctx, self._workspace, reference, "components")
        except ServiceError as error:
            raise user_error(f"The component of '{path}' is not there: {error.message}") from error
        content = component.properties.get("componentSpec")
        if not isinstance(content, dict):
            raise user_error(f"The component '{reference}' of '{path}' has no specification.")
        return component, parse(ComponentSpec, content, f"componentSpec of '{reference}'")

    async def _values(self, ports: Mapping[str, InputSpec], refer: Refer, subject: str) -> Values:
        result: Values = {}
        for name, port in ports.items():
            try:
                value = input_value(name, port, refer)
            except BindingError as error:
                raise user_error(f"The input '{name}' of {subject} is not valid: {error}") from error
            if value is not None and value["type"] != "literal" and not value.pop("bound", False):
                value = {**value, "uri": await self._sources.resolve(self._workspace, value, f"'{name}' of {subject}")}
            result[name] = value
        return result


def _pipeline_outputs(
    ports: Mapping[str, OutputSpec], declared: Mapping[str, OutputDeclaration], path: str
) -> dict[str, Json]:
    """Return the outputs of a job: its component's, and its own."""
    return {
        name: outputs.output(
            ports.get(name) or OutputSpec(),
            OutputDeclaration(type=declared[name].type) if name in declared else OutputDeclaration(),
            f"output '{name}' of '{path}'",
        )
        for name in dict.fromkeys([*declared, *ports])
    }


def _step_outputs(step: StepSpec, component: ComponentSpec | None, scope: Scope, path: str) -> dict[str, Json]:
    """Return a step's outputs, in the places that the step or the pipeline around it names. Raises BindingError."""
    declared = component.outputs if component is not None else dict.fromkeys(step.outputs, OutputDeclaration())
    if unknown := sorted(set(step.outputs) - set(declared)):
        raise BindingError(f"its component has no output '{unknown[0]}'.")
    result = {}
    for name, declaration in declared.items():
        port = step.outputs.get(name) or OutputSpec()
        output = outputs.output(port, declaration, f"output '{name}' of '{path}'")
        bound = outputs.bound_to(port)
        if bound is not None and bound.name in scope.outputs:
            outer = scope.outputs[bound.name]
            output |= {key: outer[key] for key in ("uri", "mode", "asset_name", "asset_version") if outer.get(key)}
        result[name] = output
    return result


def _promote(step: StepSpec, scope: Scope, run: Run) -> None:
    """Give each output of the pipeline the place of the step's output that is bound to it."""
    for name, port in step.outputs.items():
        bound = outputs.bound_to(port)
        if bound is None:
            continue
        if bound.name not in scope.outputs:
            raise user_error(
                f"The output '{name}' of '{run.path}' is bound to 'parent.outputs.{bound.name}', which the "
                "pipeline does not have."
            )
        scope.run.outputs[bound.name] = dict(run.outputs[name])


def _step_compute(step: StepSpec, scope: Scope) -> str | None:
    """Return the compute of a step, which may be an input of the pipeline. Raises BindingError."""
    reference = expressions.whole(step.compute)
    if not isinstance(reference, ParentInput):
        return step.compute
    value = scope.value_of(reference)
    return None if value is None else str(value.get("value"))


def _step_properties(parent: Run, name: str) -> dict[str, str]:
    return {
        "azureml.runsource": "azureml.StepRun", "azureml.pipelinerunid": parent.root, "azureml.parentrunid": parent.id,
        "azureml.moduleName": name, "azureml.nodeid": name, reuse.FLAG: "false",
        "azureml.pipelineComponent": "masterescloud",
    }  # fmt: skip
