"""Plans of commands: compute, identity, environment, code and limits are checked, and outputs get their places."""

from __future__ import annotations

import re
from dataclasses import dataclass

from localcloud.azureml import environment_specs, paths
from localcloud.azureml.common import user_error
from localcloud.azureml.compute import check_size
from localcloud.azureml.environment_builds import EnvironmentBuilds
from localcloud.azureml.jobs import expressions, identities
from localcloud.azureml.jobs.expressions import BindingError
from localcloud.azureml.jobs.runs import Run
from localcloud.azureml.jobs.specification import Identity, JobSpec, Resources, StepSpec, Work
from localcloud.azureml.jobs.values import Values
from localcloud.core.context import Context, Principal
from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_LOCAL = "IsLocal"
"""Set in resources.properties by azure-ai-ml for compute="local" (`constants/_common.py`, LOCAL_COMPUTE_PROPERTY)."""
_ACCELERATED = re.compile(r"Standard_N[CDGPV]", re.IGNORECASE)
"""learn.microsoft.com "Sizes for virtual machines in Azure": the N families have GPUs, NP has FPGAs."""


@dataclass(frozen=True)
class Defaults:
    """Settings that steps inherit from the pipelines around them."""

    submitter: Principal
    datastore: str
    compute: str | None = None
    identity: Identity | None = None
    stop_on_failure: bool = True
    force_rerun: bool = False


class CommandPlanner:
    """Plans the commands of one submission."""

    def __init__(self, ctx: Context, workspace: Resource) -> None:
        self._ctx = ctx
        self._workspace = workspace

    def plan(
        self,
        run: Run,
        submitted: JobSpec | StepSpec,
        work: Work,
        *,
        compute: str | None,
        inputs: Values,
        outputs: dict[str, Json],
        defaults: Defaults,
    ) -> None:
        """Fill in the run of a command. `work` has the command: of the component, or of the job itself.

        Raises ServiceError 400, 404 or 501.
        """
        subject = f"job '{run.path}'"
        if not work.command:
            raise user_error(f"The command of {subject} is required.")
        resources = submitted.resources or work.resources or Resources()
        if resources.instance_count != 1 or submitted.distribution:
            raise not_emulated(f"jobs on several nodes ({subject} asks for a distribution or more than one instance)")
        if resources.properties.get(_LOCAL):
            raise not_emulated(
                f"the execution service, which packs a job for its client to run ({subject} has compute='local'): "
                "leave the compute out, or use a cluster; both run on this machine"
            )
        cluster = self._compute(compute or defaults.compute, subject)
        identity = identities.of_job(self._ctx, cluster, submitted.identity or defaults.identity, defaults.submitter)
        limits = submitted.limits or work.limits
        run.kind = "command"
        run.compute = None if cluster is None else cluster.id
        run.inputs = {name: dict(value) for name, value in inputs.items() if value is not None}
        for name, output in outputs.items():
            uri = self._output_uri(run, name, output, defaults.datastore)
            run.outputs[name] = output | {"uri": uri, "placed": bool(output.get("uri"))}
        environment = self._environment(work.environment, subject)
        if work.code:
            paths.resolve_asset(self._ctx, self._workspace, work.code, "codes")
        variables = submitted.environment_variables or work.environment_variables
        run.spec |= {
            "command": work.command,
            "optional": sorted(name for name, value in inputs.items() if value is None),
            "code": work.code, "environment": environment.id,
            "variables": {str(key): str(value) for key, value in variables.items()},
            "data_principal": identity.data and identity.data.object_id,
            "identity": identity.managed and identity.managed.object_id,
            "attached": [principal.object_id for principal in identity.attached],
            "timeout_seconds": limits.timeout if limits is not None else None,
            "notes": _notes(cluster, resources, subject),
        }  # fmt: skip
        try:
            expressions.command(
                work.command,
                {name: None if value is None else "" for name, value in inputs.items()},
                dict.fromkeys(run.outputs, ""),
            )
        except BindingError as error:
            raise user_error(f"The {subject} is not valid: {error}") from error

    def _compute(self, reference: str | None, subject: str) -> Resource | None:
        """Return the AmlCompute of a name or id, None for serverless."""
        if not reference or reference == "serverless":
            return None
        name = reference.removeprefix("azureml:").rstrip("/").rsplit("/", 1)[-1]
        compute = self._ctx.resources.get(f"{self._workspace.id}/computes/{name}")
        if compute is None:
            raise user_error(f"The compute '{name}' of {subject} was not found in workspace '{self._workspace.name}'.")
        return compute

    def _environment(self, reference: str | Json | None, subject: str) -> Resource:
        """Return the environment's version. Raises ServiceError 501 for environments that localcloud cannot build."""
        if not reference:
            raise user_error(f"The environment of {subject} is required.")
        if not isinstance(reference, str):
            raise not_emulated(f"environments that are not registered (of {subject}): register a version and name it")
        if paths.curated(reference):
            raise not_emulated(
                f"curated environments, such as '{reference}' of {subject}. {environment_specs.HOW_TO_DECLARE}"
            )
        version = paths.resolve_asset(self._ctx, self._workspace, reference, "environments")
        self._ctx.offered[EnvironmentBuilds].declaration(version)
        return version

    def _output_uri(self, run: Run, name: str, output: Json, datastore: str) -> str:
        """Return the place of an output, with ${{name}}, ${{output_name}} and ${{default_datastore}} filled in."""
        end = "" if output["type"] == "uri_file" else "/"
        uri = output.get("uri")
        if not uri:
            return paths.long_uri(self._workspace, datastore, f"azureml/{run.id}/{name}{end}")
        for key, value in (("name", run.id), ("output_name", name), ("default_datastore", datastore)):
            uri = str(uri).replace(f"${{{{{key}}}}}", value)
        paths.blob_path(self._ctx, self._workspace, uri)
        return str(uri)


def _notes(cluster: Resource | None, resources: Resources, subject: str) -> list[str]:
    """Return lines for the job's log about differences from Azure. Raises ServiceError 400 for a wrong size."""
    if cluster is not None:
        size, asker = str((cluster.properties.get("properties") or {}).get("vmSize") or ""), f"compute '{cluster.name}'"
    else:
        size, asker = resources.instance_type or "", "the job"
        if size:
            check_size(size, f"The instance type of {subject}")
    if _ACCELERATED.match(size) is None:
        return []
    return [
        f"{asker} has the size {size}, which has GPUs or other accelerators on Azure. The command runs on this "
        "machine's processors and sees no accelerator."
    ]
