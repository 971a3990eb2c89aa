"""From a job's body to its runs: steps and sub-pipelines, with inputs bound, outputs placed, and all of it checked.

Where a step's outputs will be is known before it runs, so that bindings become URIs here, and what is left at run time
is who waits for whom (`spec["needs"]`). Raises ServiceError 400 UserError for what Azure ML would refuse, 501 for kinds
of jobs that localcloud does not run.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any

from localcloud.azureml import environment_specs, paths
from localcloud.azureml.common import WORKSPACE, user_error
from localcloud.azureml.environment_builds import EnvironmentBuilds
from localcloud.azureml.jobs import durations, expressions, graph, identities, outputs, shapes
from localcloud.azureml.jobs.expressions import BindingError, ParentInput, StepOutput
from localcloud.azureml.jobs.runs import Run
from localcloud.azureml.jobs.sources import Sources
from localcloud.azureml.jobs.values import Value, conform, declared_inputs, input_value
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource


@dataclass(frozen=True)
class _Defaults:
    """What steps take from the pipelines around them."""

    submitter: Principal
    datastore: str
    compute: str | None = None
    identity: Json | None = None
    stop_on_failure: bool = True


@dataclass
class _Scope:
    """What the steps of one pipeline may refer to."""

    run: Run
    inputs: dict[str, Value | None]
    wanted: dict[str, Json]
    """The pipeline's outputs as asked for: uri, mode, type."""
    steps: dict[str, Run] = field(default_factory=dict)


class Planner:
    """One submission."""

    def __init__(self, ctx: Context, workspace: Resource, sources: Sources) -> None:
        self._ctx = ctx
        self._workspace = workspace
        self._sources = sources
        self.runs: list[Run] = []

    async def job(self, name: str, properties: Json, submitter: Principal) -> list[Run]:
        """The job's run, first, and everything below it."""
        kind = str(properties.get("jobType") or "")
        run = Run(
            id=name, workspace_id=self._workspace.id, kind=kind.lower(), name=name, root=name,
            experiment=properties.get("experimentName") or "Default",
            display_name=properties.get("displayName") or name, description=properties.get("description"),
            submitter=submitter.object_id, tags=dict(properties.get("tags") or {}),
            properties=dict(properties.get("properties") or {}), hidden=bool(properties.get("isArchived")),
        )  # fmt: skip
        self.runs.append(run)
        defaults = _Defaults(submitter, datastore=self._default_datastore())
        if kind == "Command":
            inputs = await self._given(shapes.ports(properties.get("inputs"), "inputs"), None, f"job '{name}'")
            wanted = self._wanted(properties.get("outputs"), {}, run.path)
            self._command(run, properties, inputs, wanted, properties, defaults, None)
        elif kind == "Pipeline":
            await self._root_pipeline(run, properties, defaults)
        else:
            raise not_emulated(f"jobs of type '{kind}': localcloud runs Command and Pipeline")
        return self.runs

    def _default_datastore(self) -> str:
        stores = self._ctx.resources.children(self._workspace.id, f"{WORKSPACE}/datastores")
        return next((one.name for one in stores if one.properties.get("isDefault")), "workspaceblobstore")

    async def _root_pipeline(self, run: Run, properties: Json, defaults: _Defaults) -> None:
        settings = properties.get("settings") or {}
        spec: Json = {}
        if reference := shapes.pick(properties, "componentId"):
            spec = self._component(str(reference), run.path)[1]
        steps = properties.get("jobs") or spec.get("jobs")
        given = shapes.ports(properties.get("inputs"), "inputs")
        declared = declared_inputs(spec.get("inputs"))
        inputs = await self._given(given, None, f"job '{run.name}'")
        if declared:
            inputs = conform(inputs, declared, f"job '{run.name}'")
        defaults = replace(
            self._settings(settings, defaults),
            compute=shapes.pick(properties, "computeId") or shapes.pick(settings, "defaultCompute", "default_compute"),
            identity=properties.get("identity") or None,
        )
        await self._pipeline(run, steps, inputs, self._wanted(properties.get("outputs"), spec, run.path), defaults)

    def _settings(self, settings: Json, defaults: _Defaults) -> _Defaults:
        datastore = shapes.pick(settings, "defaultDatastore")
        goes_on = shapes.pick(settings, "continueOnStepFailure")
        if datastore:
            name = str(datastore).removeprefix("azureml:").rsplit("/", 1)[-1]
            if self._ctx.resources.get(f"{self._workspace.id}/datastores/{name}") is None:
                raise user_error(f"The default datastore '{name}' was not found in '{self._workspace.name}'.")
            defaults = replace(defaults, datastore=name)
        if goes_on is not None:
            defaults = replace(defaults, stop_on_failure=not _truth(goes_on))
        compute = shapes.pick(settings, "defaultCompute")
        return replace(defaults, compute=compute) if compute and compute != "serverless" else defaults

    async def _pipeline(
        self, run: Run, steps: Any, inputs: dict[str, Value | None], wanted: dict[str, Json], defaults: _Defaults
    ) -> None:
        if not isinstance(steps, dict) or not steps:
            raise user_error(f"The pipeline '{run.path}' has no jobs.")
        run.kind = "pipeline"
        run.inputs = {name: dict(value) for name, value in inputs.items() if value is not None}
        run.outputs = {name: {"type": "uri_folder", **one} for name, one in wanted.items()}
        run.spec |= {"stop_on_failure": defaults.stop_on_failure}
        scope = _Scope(run, inputs, wanted)
        for name in graph.ordered(steps, run.path):
            scope.steps[name] = await self._step(name, steps[name], scope, defaults)
        if unbound := sorted(name for name, one in run.outputs.items() if not one.get("uri")):
            raise user_error(f"The output '{unbound[0]}' of pipeline '{run.path}' is not bound to an output of a job.")

    async def _step(self, name: str, node: Any, scope: _Scope, defaults: _Defaults) -> Run:
        parent = scope.run
        path = f"/{name}" if parent.parent is None else f"{parent.path}/{name}"
        if not isinstance(node, dict):
            raise user_error(f"The job '{path}' of the pipeline must be an object.")
        reference = shapes.pick(node, "componentId", "component")
        component, spec = (None, node)
        if isinstance(reference, dict):
            spec = reference
        elif reference:
            component, spec = self._component(str(reference), path)
        kind = str(spec.get("type") or node.get("type") or node.get("jobType") or "command").lower()
        if kind not in {"command", "pipeline"}:
            raise not_emulated(f"pipeline steps of type '{kind}' ({path}): localcloud runs command and pipeline")
        run = Run(
            id=str(uuid.uuid4()), workspace_id=self._workspace.id, kind=kind, name=name, root=parent.root,
            parent=parent.id, experiment=parent.experiment,
            display_name=str(shapes.pick(node, "displayName") or name), description=node.get("description"),
            submitter=parent.submitter, tags=dict(node.get("tags") or {}), properties=_step_properties(parent, name),
        )  # fmt: skip
        given_inputs = shapes.ports(node.get("inputs"), f"inputs of '{path}'")
        run.spec = {
            "path": path,
            "needs": graph.needs(given_inputs, scope.steps),
            "component": component and component.id,
        }
        self.runs.append(run)
        try:
            given = await self._given(given_inputs, scope, f"job '{path}'")
            inputs = given if spec is node else conform(given, declared_inputs(spec.get("inputs")), f"job '{path}'")
            wanted = self._bound_outputs(node, spec, scope, path)
        except BindingError as error:
            raise user_error(f"The job '{path}' of the pipeline is not valid: {error}") from error
        inner = replace(defaults, identity=node.get("identity") or spec.get("identity") or defaults.identity)
        if kind == "pipeline":
            inner = self._settings(node.get("settings") or spec.get("settings") or {}, inner)
            await self._pipeline(run, spec.get("jobs"), inputs, wanted, inner)
        else:
            self._command(
                run, node | {"compute": self._compute_of(node, scope)}, inputs, wanted, spec, inner, component
            )
        self._promote(node, scope, run)
        return run

    def _component(self, reference: str, path: str) -> tuple[Resource, Json]:
        try:
            found = paths.resolve_asset(self._ctx, self._workspace, reference, "components")
        except ServiceError as error:
            raise user_error(f"The component of '{path}' is not there: {error.message}") from error
        spec = found.properties.get("componentSpec")
        if not isinstance(spec, dict):
            raise user_error(f"The component '{reference}' of '{path}' has no specification.")
        return found, spec

    async def _given(self, given: Json, scope: _Scope | None, what: str) -> dict[str, Value | None]:
        """Values by name; None where a binding leads to an optional input that was not given."""

        def refer(reference: expressions.Reference) -> Value | None:
            if scope is None:
                raise BindingError("a job's own inputs cannot refer to others.")
            return _referred(reference, scope)

        result = {}
        for name, raw in given.items():
            try:
                value = input_value(name, raw, refer)
            except BindingError as error:
                raise user_error(f"The input '{name}' of {what} is not valid: {error}") from error
            if value is not None and value["type"] != "literal" and not value.pop("bound", False):
                value = {**value, "uri": await self._sources.resolve(self._workspace, value, f"'{name}' of {what}")}
            result[name] = value
        return result

    def _wanted(self, asked: Any, spec: Json, path: str) -> dict[str, Json]:
        """A pipeline's outputs as asked for: the job's, on top of what its component declares."""
        declared = {name: {"type": (one or {}).get("type")} for name, one in (spec.get("outputs") or {}).items()}
        given = shapes.ports(asked, "outputs")
        return {
            name: outputs.wanted(given.get(name) or {}, declared.get(name) or {}, f"output '{name}' of '{path}'")
            for name in [*declared, *(name for name in given if name not in declared)]
        }

    def _bound_outputs(self, node: Json, spec: Json, scope: _Scope, path: str) -> dict[str, Json]:
        """A step's outputs: its component's, with the place that the step or the pipeline around it asks for."""
        declared = shapes.ports(spec.get("outputs"), f"outputs of '{path}'")
        given = shapes.ports(node.get("outputs"), f"outputs of '{path}'") if spec is not node else declared
        unknown = sorted(set(given) - set(declared)) if spec is not node else []
        if unknown:
            raise BindingError(f"its component has no output '{unknown[0]}'.")
        result = {}
        for name, one in declared.items():
            what = f"output '{name}' of '{path}'"
            asked = given.get(name)
            wanted = outputs.wanted(
                asked if isinstance(asked, dict) else {}, one if isinstance(one, dict) else {}, what
            )
            bound = outputs.bound_to(asked)
            if bound is not None and bound.name in scope.wanted:
                outer = scope.wanted[bound.name]
                wanted |= {key: outer[key] for key in ("uri", "mode", "asset_name", "asset_version") if outer.get(key)}
            result[name] = wanted
        return result

    def _promote(self, node: Json, scope: _Scope, run: Run) -> None:
        """Outputs of the pipeline are where the step's are that it is bound to."""
        for name, asked in shapes.ports(node.get("outputs"), "outputs").items():
            bound = outputs.bound_to(asked)
            if bound is None:
                continue
            if bound.name not in scope.wanted:
                raise user_error(
                    f"The output '{name}' of '{run.path}' is bound to 'parent.outputs.{bound.name}', which the "
                    "pipeline does not have."
                )
            scope.run.outputs[bound.name] = dict(run.outputs[name])

    def _compute_of(self, node: Json, scope: _Scope) -> str | None:
        compute = shapes.pick(node, "computeId", "compute")
        if compute is None:
            return None
        reference = expressions.whole(compute)
        if isinstance(reference, ParentInput):
            value = _referred(reference, scope)
            return None if value is None else str(value.get("value"))
        return str(compute)

    def _command(
        self,
        run: Run,
        node: Json,
        inputs: dict[str, Value | None],
        wanted: dict[str, Json],
        spec: Json,
        defaults: _Defaults,
        component: Resource | None,
    ) -> None:
        """`node` has what the job or step asks for, `spec` the command: of its component, or of the job itself."""
        what = f"job '{run.path}'"
        command = spec.get("command")
        if not command:
            raise user_error(f"The command of {what} is required.")
        resources = shapes.pick(node, "resources") or spec.get("resources") or {}
        if str(shapes.pick(resources, "instanceCount") or 1) != "1" or shapes.pick(node, "distribution"):
            raise not_emulated(f"jobs on several nodes ({what} asks for a distribution or more than one instance)")
        compute = self._compute(shapes.pick(node, "computeId", "compute") or defaults.compute, what)
        identity = node.get("identity") or defaults.identity
        who = identities.of_job(self._ctx, compute, identity, defaults.submitter)
        limits = shapes.pick(node, "limits") or spec.get("limits") or {}
        try:
            timeout = durations.seconds(limits.get("timeout"))
        except ValueError as error:
            raise user_error(f"The timeout of {what} is not valid: {error}") from error
        run.kind = "command"
        run.compute = None if compute is None else compute.id
        run.inputs = {name: dict(value) for name, value in inputs.items() if value is not None}
        for name, one in wanted.items():
            placed = bool(one.get("uri"))
            run.outputs[name] = one | {"uri": self._output_uri(run, name, one, defaults.datastore), "placed": placed}
        environment = shapes.pick(spec, "environmentId", "environment")
        code = shapes.pick(spec, "codeId", "code")
        environment = self._environment(environment, what)
        if code:
            paths.resolve_asset(self._ctx, self._workspace, str(code), "codes")
        variables = shapes.pick(node, "environmentVariables") or shapes.pick(spec, "environmentVariables") or {}
        run.spec |= {
            "command": str(command),
            "optional": sorted(name for name, value in inputs.items() if value is None),
            "code": code, "environment": environment.id,
            "variables": {str(key): str(value) for key, value in variables.items()},
            "data_principal": who.data and who.data.object_id, "identity": who.managed and who.managed.object_id,
            "timeout_seconds": timeout, "component": component.id if component else run.spec.get("component"),
        }  # fmt: skip
        try:
            expressions.command(
                str(command),
                {name: None if value is None else "" for name, value in inputs.items()},
                dict.fromkeys(run.outputs, ""),
            )
        except BindingError as error:
            raise user_error(f"The {what} is not valid: {error}") from error

    def _compute(self, given: Any, what: str) -> Resource | None:
        """The AmlCompute of a name or id, None for serverless."""
        if not given or str(given) == "serverless":
            return None
        name = str(given).removeprefix("azureml:").rstrip("/").rsplit("/", 1)[-1]
        found = self._ctx.resources.get(f"{self._workspace.id}/computes/{name}")
        if found is None:
            raise user_error(f"The compute '{name}' of {what} was not found in workspace '{self._workspace.name}'.")
        return found

    def _environment(self, given: Any, what: str) -> Resource:
        """The environment's version. Raises ServiceError 501 for those that localcloud cannot build."""
        if not given:
            raise user_error(f"The environment of {what} is required.")
        if not isinstance(given, str):
            raise not_emulated(f"environments that are not registered (of {what}): register a version and name it")
        if paths.curated(given):
            raise not_emulated(f"curated environments, such as '{given}' of {what}. {environment_specs.HOW_TO_DECLARE}")
        version = paths.resolve_asset(self._ctx, self._workspace, given, "environments")
        self._ctx.offered[EnvironmentBuilds].declaration(version)
        return version

    def _output_uri(self, run: Run, name: str, wanted: Json, datastore: str) -> str:
        """The place asked for, with its ${{name}}, ${{output_name}} and ${{default_datastore}}, or the default one."""
        end = "" if wanted["type"] == "uri_file" else "/"
        given = wanted.get("uri")
        if not given:
            return paths.long_uri(self._workspace, datastore, f"azureml/{run.id}/{name}{end}")
        for key, value in (("name", run.id), ("output_name", name), ("default_datastore", datastore)):
            given = str(given).replace(f"${{{{{key}}}}}", value)
        paths.blob_path(self._ctx, self._workspace, given)
        return str(given)


def _referred(reference: expressions.Reference, scope: _Scope) -> Value | None:
    """The value behind a reference. Raises BindingError."""
    if isinstance(reference, ParentInput):
        if reference.name not in scope.inputs:
            raise BindingError(f"the pipeline has no input '{reference.name}'.")
        value = scope.inputs[reference.name]
        return None if value is None else {**value, "bound": True}
    if isinstance(reference, StepOutput):
        step = scope.steps.get(reference.step)
        if step is None:
            raise BindingError(f"the pipeline has no job '{reference.step}'.")
        if reference.name not in step.outputs:
            raise BindingError(f"the job '{reference.step}' has no output '{reference.name}'.")
        output = step.outputs[reference.name]
        return {"type": output["type"], "uri": output["uri"], "bound": True}
    raise BindingError(f"an input cannot be bound to the pipeline's output '{reference.name}'.")


def _step_properties(parent: Run, name: str) -> dict[str, str]:
    return {
        "azureml.runsource": "azureml.StepRun", "azureml.pipelinerunid": parent.root, "azureml.parentrunid": parent.id,
        "azureml.moduleName": name, "azureml.nodeid": name, "azureml.isreused": "false",
        "azureml.pipelineComponent": "masterescloud",
    }  # fmt: skip


def _truth(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).lower() == "true"
