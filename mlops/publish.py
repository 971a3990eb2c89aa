"""Publish: notebooks, environment, components, the pipeline component, and a deployment of it on the batch endpoint.

Every part is named after its content or the published version and never changes, so that a publication that was cut off
can be done again. The endpoint's default moves last.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlops import fingerprints, history, job_environment, notebooks, published_components
from mlops.asset_versions import get_or_make
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError
from mlops.specifications import TrainingPipeline
from mlops.suggestions import hint
from mlops.terminal import quiet_polling

_ROOT = Path(__file__).resolve().parents[1]
_SOURCES = ("pipeline.py", "job_environment.py")
_SCORING_SOURCE = "scoring_pipeline.py"
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,27}")
_DEPLOYMENT_LENGTH = 32  # of Azure ML
FINGERPRINT_TAG, VERSION_TAG, COMMIT_TAG = "fingerprint", "code_version", "commit"
PURPOSE_TAG, SCORING = "purpose", "scoring"
"""Tag of the scoring deployment, which is beside the training deployment."""
NO_COMMIT = "nogit"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Publication:
    """Content and version of a publication, planned or made."""

    fingerprint: str
    version: str
    requested: bool = False
    """The version was requested: it is published even if its content exists under another version."""

    def is_up_to_date(self, published: Published) -> bool:
        """Whether there is nothing to publish: the same content, and the chosen version, if any."""
        same = published.tags.get(FINGERPRINT_TAG) == self.fingerprint
        return same and (not self.requested or published.version == self.version)

    @property
    def deployment(self) -> str:
        """3 to 32 characters: letters, digits and hyphens."""
        return f"v-{re.sub(r'[^a-z0-9]+', '-', self.version.lower())}"[:_DEPLOYMENT_LENGTH].rstrip("-")


@dataclass(frozen=True)
class Published:
    """The endpoint's default deployment, as ARM shows it."""

    deployment: str
    tags: dict[str, str]
    pipeline_id: str
    """ARM id of the pipeline component's version."""
    created: datetime | None = None

    @property
    def version(self) -> str:
        return self.tags.get(VERSION_TAG, "")

    @property
    def commit(self) -> str:
        return self.tags.get(COMMIT_TAG, "unknown")

    @property
    def scores(self) -> bool:
        """Whether it scores; the others train."""
        return self.tags.get(PURPOSE_TAG) == SCORING


def plan(clients: Clients, version: str | None = None) -> Publication:
    """`version` is the build id; without one it is the git revision and the content's fingerprint.

    Raises InvalidError for a version that Azure ML would refuse.
    """
    fingerprint = _fingerprint(clients)
    requested = version or os.environ.get("BUILD_BUILDID")
    chosen = requested or f"{commit()[:10]}-{fingerprint[:8]}"
    if _VERSION.fullmatch(chosen) is None:
        raise InvalidError(
            f"The version {chosen!r} is not usable: give up to 28 letters, digits, dots, hyphens and underscores, such "
            "as 20261125.3."
        )
    return Publication(fingerprint, chosen, bool(requested))


def published(clients: Clients) -> Published | None:
    """Return the endpoint's default deployment, None when there is none. Raises MissingError without the endpoint."""
    endpoint = clients.arm.get(_endpoint_id(clients))
    if endpoint is None:
        raise MissingError(
            f"The batch endpoint {clients.endpoint} does not exist: bring the stack up with `pulumi up`."
        )
    name = (endpoint["properties"].get("defaults") or {}).get("deploymentName")
    return _deployment(clients, str(name)) if name else None


def deployments(clients: Clients) -> list[Published]:
    """Return the deployments of the pipeline's endpoint that train, default or not."""
    return [deployment for deployment in listed(clients) if not deployment.scores]


def listed(clients: Clients) -> list[Published]:
    """Return all deployments of the pipeline's endpoint."""
    deployments = clients.arm.list(f"{_endpoint_id(clients)}/deployments")
    return [_published(str(deployment["name"]), deployment) for deployment in deployments]


def scoring_deployment(clients: Clients, deployment: str) -> Published | None:
    """Return the scoring part of a training deployment, None when it was published without scoring."""
    beside = _deployment(clients, scoring_name(deployment))
    return beside if beside is not None and beside.scores else None


def scoring_name(deployment: str) -> str:
    """Return the name of the deployment that scores: s-VERSION beside v-VERSION."""
    return f"s-{deployment.removeprefix('v-')}"


def is_whole(clients: Clients, published: Published) -> bool:
    """Whether its pipeline components exist, and the scoring deployment where the pipeline scores.

    Azure ML makes an endpoint's first deployment its default at once: a publication may have been interrupted after
    it. A component's version can be deleted although a deployment names it.
    """
    parts = [published]
    if clients.pipeline.specification.score is not None:
        beside = scoring_deployment(clients, published.deployment)
        if beside is None:
            return False
        parts.append(beside)
    return all(clients.arm.get(part.pipeline_id.removeprefix("azureml:")) is not None for part in parts)


def all_deployments(clients: Clients) -> list[Published]:
    """Return the deployments of all batch endpoints of the workspace."""
    endpoints = clients.arm.list(f"{clients.workspace_id}/batchEndpoints")
    return [
        _published(str(deployment["name"]), deployment)
        for endpoint in endpoints
        for deployment in clients.arm.list(f"{clients.workspace_id}/batchEndpoints/{endpoint['name']}/deployments")
    ]


def of_version(clients: Clients, version: str) -> Published:
    """Return the deployment of a published version, default or not. Raises MissingError when there is none."""
    known = {deployment.version: deployment for deployment in deployments(clients)}
    if version not in known:
        raise MissingError(
            f"Version {version} is not published on {clients.outputs.environment}: run `python -m mlops publish "
            f"{clients.options} --version {version}` first. {hint(version, known)}"
        )
    return known[version]


def inputs_of(clients: Clients, deployment: Published) -> dict[str, str]:
    """Return the inputs of a published pipeline, types by name; empty when its component is gone."""
    component = clients.arm.get(deployment.pipeline_id.removeprefix("azureml:"))
    declared = {} if component is None else component["properties"]["componentSpec"].get("inputs") or {}
    return {name: str(declaration["type"]) for name, declaration in declared.items()}


def make_default(clients: Clients, name: str) -> None:
    """Let the endpoint's invocations go to this deployment. Raises the clients' errors when there is none."""
    endpoint = clients.ml.batch_endpoints.get(clients.endpoint)
    if endpoint.defaults is None or endpoint.defaults.deployment_name != name:
        # A dictionary, since an endpoint without a default has no object to change. azure-ai-ml accepts both
        # (entities/_endpoint/batch_endpoint.py, _to_rest_batch_endpoint).
        endpoint.defaults = {"deployment_name": name}
        with quiet_polling():
            clients.ml.batch_endpoints.begin_create_or_update(endpoint).result()


def publish(clients: Clients, publication: Publication, say: Say, *, keep_default: bool = False) -> Published:
    """Make the missing parts and move the default, unless a promotion is to do that. Raises the clients' errors."""
    uploaded = [notebooks.upload(clients, notebook) for notebook in clients.pipeline.notebooks]
    say("notebooks: uploaded" if any(uploaded) else "notebooks: unchanged")
    environment = _environment(clients.ml, clients.pipeline)
    say(f"environment: {environment.name} version {environment.version}")
    reference = f"azureml:{environment.name}:{environment.version}"
    components = {
        step: published_components.register(clients.ml, step, folder, clients.pipeline, reference)
        for step, folder in published_components.folders(clients.pipeline).items()
    }
    say(f"components: {', '.join(f'{component.name} {component.version}' for component in components.values())}")
    component = _pipeline(clients, components, publication)
    say(f"pipeline: {component.name} version {component.version}")
    tags = {FINGERPRINT_TAG: publication.fingerprint, VERSION_TAG: publication.version, COMMIT_TAG: commit()}
    _make_room(clients, publication, say)
    _deploy(clients, component, publication.deployment, tags)
    if clients.pipeline.specification.score is not None:
        scores = _scoring_pipeline(clients, components, publication)
        # It follows the training deployment: Azure ML makes an endpoint's first deployment its default.
        _deploy(clients, scores, scoring_name(publication.deployment), tags | {PURPOSE_TAG: SCORING})
        say(f"scoring: {scores.name} version {scores.version}")
    if not keep_default:
        make_default(clients, publication.deployment)
    role = "deployment" if keep_default else "default deployment"
    say(f"endpoint: {clients.endpoint}, {role} {publication.deployment}")
    return Published(publication.deployment, tags, str(component.id))


def _endpoint_id(clients: Clients) -> str:
    return f"{clients.workspace_id}/batchEndpoints/{clients.endpoint}"


def _deployment(clients: Clients, name: str) -> Published | None:
    deployment = clients.arm.get(f"{_endpoint_id(clients)}/deployments/{name}")
    return None if deployment is None else _published(name, deployment)


def _published(name: str, deployment: dict[str, Any]) -> Published:
    configuration = deployment["properties"].get("deploymentConfiguration") or {}
    component = str((configuration.get("componentId") or {}).get("assetId") or "")
    created = history.time((deployment.get("systemData") or {}).get("createdAt"))
    return Published(name, deployment.get("tags") or {}, component, created)


def _fingerprint(clients: Clients) -> str:
    outputs = clients.outputs.model_dump(
        include={
            "training_account", "training_container", "training_datastore", "databricks_host", "instance_pool_id",
            "cluster_policy_id", "spark_version", "notebook_folder", "compute_name",
            "application_insights_connection_string",
            "retraining_client_id",
        }
    )  # fmt: skip
    pipeline = clients.pipeline
    sources = _SOURCES if pipeline.specification.score is None else (*_SOURCES, _SCORING_SOURCE)
    code = [*published_components.source_files(pipeline), *(Path(__file__).with_name(name) for name in sources)]
    parts = {
        "code": fingerprints.of_files(_ROOT, code),
        "specification": pipeline.specification_json,
        "notebooks": " ".join(notebooks.content_hash(notebook) for notebook in pipeline.notebooks),
        "environment": job_environment.version(job_environment.packages(pipeline)),
    }
    if pipeline.specification.score is not None and pipeline.specification.score.format == "delta":
        parts["scoring_output_days"] = str(clients.outputs.scoring_output_days)
    return fingerprints.of_values(parts | {key: str(value) for key, value in outputs.items()})


def commit() -> str:
    """Return the whole git revision, NO_COMMIT outside of a repository."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        completed = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return NO_COMMIT
    return completed.stdout.strip() if completed.returncode == 0 else NO_COMMIT


def _environment(ml: Any, pipeline: TrainingPipeline) -> Any:
    from azure.ai.ml.entities import Environment

    name, own = job_environment.name(pipeline), job_environment.packages(pipeline)
    version = job_environment.version(own)

    def make() -> Any:
        environment = Environment(
            name=name,
            version=version,
            image=job_environment.IMAGE,
            conda_file=job_environment.conda_file(own),
            description="Locked packages of the training pipeline's components.",
        )
        return ml.environments.create_or_update(environment)

    return get_or_make(lambda: ml.environments.get(name, version), make)


def _pipeline(clients: Clients, components: dict[str, Any], publication: Publication) -> Any:
    from mlops import pipeline

    training = clients.pipeline
    path = notebooks.notebook_path(clients.outputs.notebook_folder, training.specification.notebook)
    return _register(
        clients, training.component, publication,
        lambda: pipeline.build(training, components, clients.outputs, path, publication.version, commit()).component,
    )  # fmt: skip


def _scoring_pipeline(clients: Clients, components: dict[str, Any], publication: Publication) -> Any:
    from mlops import retraining, scoring_pipeline

    training = clients.pipeline
    path = notebooks.notebook_path(clients.outputs.notebook_folder, training.score.notebook)
    return _register(
        clients, training.scoring_component, publication,
        lambda: scoring_pipeline.build(
            training, components, clients.outputs, path, publication.version, publication.deployment,
            retraining.inputs(clients),
        ).component,
    )  # fmt: skip


def _register(clients: Clients, name: str, publication: Publication, build: Callable[[], Any]) -> Any:
    """Return the published version of a pipeline component; make it if it is new."""

    def get() -> Any:
        known = clients.ml.components.get(name, publication.version)
        if (known.tags or {}).get(FINGERPRINT_TAG) != publication.fingerprint:
            raise InvalidError(
                f"Version {publication.version} of {name} is published already, from other content: give another "
                "--version."
            )
        return known

    def make() -> Any:
        component = build()
        component.tags = {FINGERPRINT_TAG: publication.fingerprint, VERSION_TAG: publication.version}
        return clients.ml.components.create_or_update(component, version=publication.version)

    return get_or_make(get, make)


def _make_room(clients: Clients, publication: Publication, say: Say) -> None:
    from mlops import old_deployments

    names = [publication.deployment]
    if clients.pipeline.specification.score is not None:
        names.append(scoring_name(publication.deployment))
    old_deployments.make_room(clients, names, say)


def _deploy(clients: Clients, component: Any, name: str, tags: dict[str, str]) -> None:
    from azure.ai.ml.entities import PipelineComponentBatchDeployment

    deployment = PipelineComponentBatchDeployment(
        name=name,
        endpoint_name=clients.endpoint,
        component=component,
        settings={"default_compute": clients.outputs.compute_name, "continue_on_step_failure": False},
        tags=tags,
    )
    with quiet_polling():
        clients.ml.batch_deployments.begin_create_or_update(deployment).result()
