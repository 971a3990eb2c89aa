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
from http import HTTPStatus
from pathlib import Path
from typing import Any

from mlops import component_commands, fingerprints, job_environment, notebooks
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError

COMPONENTS = Path(__file__).with_name("components")
NOTEBOOK = "feature_engineering"
MODEL = "diabetes"
"""Name of the registered model."""
_ROOT = Path(__file__).resolve().parents[1]
_SOURCES = ("pipeline.py", "job_environment.py")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,27}")
_DEPLOYMENT_LENGTH = 32  # of Azure ML
_TRIES = 3
"""Of a version that somebody else makes at the same time: code, then the component that names it."""
FINGERPRINT_TAG, VERSION_TAG, COMMIT_TAG = "fingerprint", "code_version", "commit"
NO_COMMIT = "nogit"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Publication:
    """What would be, or is, published."""

    fingerprint: str
    version: str
    asked: bool = False
    """Somebody chose the version, which is published then even with content that is there under another."""

    def stands_as(self, published: Published) -> bool:
        """Whether there is nothing to publish: the same content, and the version where somebody chose one."""
        same = published.tags.get(FINGERPRINT_TAG) == self.fingerprint
        return same and (not self.asked or published.version == self.version)

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

    @property
    def version(self) -> str:
        return self.tags.get(VERSION_TAG, "")

    @property
    def commit(self) -> str:
        return self.tags.get(COMMIT_TAG, "unknown")


def plan(clients: Clients, version: str | None = None) -> Publication:
    """`version` is the build id; without one it is the git revision and the content's fingerprint.

    Raises InvalidError for a version that Azure ML would refuse.
    """
    fingerprint = _fingerprint(clients)
    asked = version or os.environ.get("BUILD_BUILDID")
    chosen = asked or f"{commit()[:10]}-{fingerprint[:8]}"
    if _VERSION.fullmatch(chosen) is None:
        raise InvalidError(
            f"The version {chosen!r} is not usable: give up to 28 letters, digits, dots, hyphens and underscores, such "
            "as 20261125.3."
        )
    return Publication(fingerprint, chosen, bool(asked))


def published(clients: Clients) -> Published | None:
    """Return the endpoint's default deployment, None when there is none. Raises MissingError without the endpoint."""
    endpoint = clients.arm.get(_endpoint_id(clients))
    if endpoint is None:
        raise MissingError(
            f"The batch endpoint {clients.outputs.batch_endpoint} does not exist: bring the stack up with `pulumi up`."
        )
    name = (endpoint["properties"].get("defaults") or {}).get("deploymentName")
    return _deployment(clients, str(name)) if name else None


def deployments(clients: Clients) -> list[Published]:
    """All of the endpoint, default or not."""
    return [_published(str(one["name"]), one) for one in clients.arm.list(f"{_endpoint_id(clients)}/deployments")]


def of_version(clients: Clients, version: str) -> Published:
    """Return the deployment of a published version, default or not. Raises MissingError when there is none."""
    found = next((one for one in deployments(clients) if one.version == version), None)
    if found is None:
        raise MissingError(
            f"Version {version} is not published on {clients.outputs.environment}: run `python -m mlops publish "
            f"--version {version}` first."
        )
    return found


def make_default(clients: Clients, name: str) -> None:
    """Let the endpoint's invocations go to this deployment. Raises the clients' errors when there is none."""
    endpoint = clients.ml.batch_endpoints.get(clients.outputs.batch_endpoint)
    if endpoint.defaults is None or endpoint.defaults.deployment_name != name:
        # A dictionary, since there is no object to change where there is no default. azure-ai-ml takes both
        # (entities/_endpoint/batch_endpoint.py, _to_rest_batch_endpoint).
        endpoint.defaults = {"deployment_name": name}
        clients.ml.batch_endpoints.begin_create_or_update(endpoint).result()


def publish(clients: Clients, publication: Publication, say: Say, *, keep_default: bool = False) -> Published:
    """Make what is missing and move the default, unless a promotion is to do that. Raises the clients' errors."""
    say("notebooks: uploaded" if notebooks.upload(clients) else "notebooks: unchanged")
    environment = _environment(clients.ml)
    say(f"environment: {environment.name} version {environment.version}")
    components = {
        folder.name: _component(clients.ml, folder, f"azureml:{environment.name}:{environment.version}")
        for folder in sorted(COMPONENTS.iterdir())
        if (folder / "component.yml").exists()
    }
    say(f"components: {', '.join(f'{one.name} {one.version}' for one in components.values())}")
    component = _pipeline(clients, components, publication)
    say(f"pipeline: {component.name} version {component.version}")
    tags = {FINGERPRINT_TAG: publication.fingerprint, VERSION_TAG: publication.version, COMMIT_TAG: commit()}
    _deploy(clients, component, publication.deployment, tags)
    if not keep_default:
        make_default(clients, publication.deployment)
    role = "deployment" if keep_default else "default deployment"
    say(f"endpoint: {clients.outputs.batch_endpoint}, {role} {publication.deployment}")
    return Published(publication.deployment, tags, str(component.id))


def _endpoint_id(clients: Clients) -> str:
    return f"{clients.workspace_id}/batchEndpoints/{clients.outputs.batch_endpoint}"


def _deployment(clients: Clients, name: str) -> Published | None:
    found = clients.arm.get(f"{_endpoint_id(clients)}/deployments/{name}")
    return None if found is None else _published(name, found)


def _published(name: str, deployment: dict[str, Any]) -> Published:
    configuration = deployment["properties"].get("deploymentConfiguration") or {}
    component = str((configuration.get("componentId") or {}).get("assetId") or "")
    return Published(name, deployment.get("tags") or {}, component)


def _fingerprint(clients: Clients) -> str:
    outputs = clients.outputs.model_dump(
        include={
            "training_account", "training_container", "training_datastore", "databricks_host", "instance_pool_id",
            "cluster_policy_id", "spark_version", "notebook_folder", "compute_name",
        }
    )  # fmt: skip
    code = [*fingerprints.source_files(COMPONENTS), *(Path(__file__).with_name(name) for name in _SOURCES)]
    parts = {
        "code": fingerprints.of_files(_ROOT, code),
        "notebooks": notebooks.content_hash(),
        "environment": job_environment.version(),
    }
    return fingerprints.of_values(parts | {key: str(value) for key, value in outputs.items()})


def commit() -> str:
    """Return the whole git revision, NO_COMMIT outside of a repository."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return NO_COMMIT
    return done.stdout.strip() if done.returncode == 0 else NO_COMMIT


def _environment(ml: Any) -> Any:
    from azure.ai.ml.entities import Environment

    version = job_environment.version()

    def make() -> Any:
        environment = Environment(
            name=job_environment.NAME,
            version=version,
            image=job_environment.IMAGE,
            conda_file=job_environment.conda_file(),
            description="What the training pipeline's components import, as locked.",
        )
        return ml.environments.create_or_update(environment)

    return get_or_make(lambda: ml.environments.get(job_environment.NAME, version), make)


def get_or_make(get: Callable[[], Any], make: Callable[[], Any]) -> Any:
    """Return a version, which is made where `get` finds none.

    Somebody who publishes the same at the same time makes it between the two, or the code that it names: Azure ML
    refuses to make either again. `get` decides whether theirs will do. Raises the clients' errors.
    """
    from azure.ai.ml.exceptions import AssetPathException
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

    for attempt in range(1, _TRIES + 1):
        try:
            return get()
        except ResourceNotFoundError:
            try:
                return make()
            except (HttpResponseError, AssetPathException) as error:
                status = error.status_code if isinstance(error, HttpResponseError) else HTTPStatus.CONFLICT
                if status != HTTPStatus.CONFLICT or attempt == _TRIES:
                    raise
    raise AssertionError("the last attempt returns or raises")


def _component(ml: Any, folder: Path, environment: str) -> Any:
    from azure.ai.ml import load_component

    component: Any = load_component(source=folder / "component.yml")
    component_commands.check(component.name, component.command, component.inputs)
    content = {"folder": fingerprints.of_folder(folder), "environment": environment}
    version = fingerprints.of_values(content)[:12]
    component.environment = environment
    return get_or_make(
        lambda: ml.components.get(component.name, version),
        lambda: ml.components.create_or_update(component, version=version),
    )


def _pipeline(clients: Clients, components: dict[str, Any], publication: Publication) -> Any:
    from mlops import pipeline

    def get() -> Any:
        known = clients.ml.components.get(pipeline.NAME, publication.version)
        if (known.tags or {}).get(FINGERPRINT_TAG) != publication.fingerprint:
            raise InvalidError(
                f"Version {publication.version} of {pipeline.NAME} is published already, from other content: "
                "give another --version."
            )
        return known

    def make() -> Any:
        path = notebooks.notebook_path(clients.outputs.notebook_folder, NOTEBOOK)
        built = pipeline.build(components, clients.outputs, path, publication.version, commit(), MODEL)
        component = built(data_uri="abfss://…", data_version="…").component
        component.tags = {FINGERPRINT_TAG: publication.fingerprint, VERSION_TAG: publication.version}
        return clients.ml.components.create_or_update(component, version=publication.version)

    return get_or_make(get, make)


def _deploy(clients: Clients, component: Any, name: str, tags: dict[str, str]) -> None:
    from azure.ai.ml.entities import PipelineComponentBatchDeployment

    deployment = PipelineComponentBatchDeployment(
        name=name,
        endpoint_name=clients.outputs.batch_endpoint,
        component=component,
        settings={"default_compute": clients.outputs.compute_name, "continue_on_step_failure": False},
        tags=tags,
    )
    clients.ml.batch_deployments.begin_create_or_update(deployment).result()
