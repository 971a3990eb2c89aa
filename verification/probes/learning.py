"""The ML workspace: its datastore, its endpoint's default deployment, its environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from mlops import job_environment
from verification.probe import Answer, Kind, Probe, judged, measured, skipped
from verification.target import Target

_ENDPOINT_FIELDS = ("location", "tags", "kind", "identity", "sku")
_READ_ONLY = ("provisioningState", "scoringUri", "swaggerUri", "defaults", "properties")
_MANIFESTS = ", ".join(
    f"application/vnd.{kind}"
    for kind in (
        "oci.image.index.v1+json", "docker.distribution.manifest.list.v2+json", "oci.image.manifest.v1+json",
        "docker.distribution.manifest.v2+json",
    )
)  # fmt: skip


def _datastore(target: Target) -> Answer:
    store = target.get(f"{target.workspace}/datastores/{target.outputs.training_datastore}")["properties"]
    shape = (
        store["datastoreType"],
        (store.get("credentials") or {}).get("credentialsType"),
        store.get("serviceDataAccessAuthIdentity"),
    )
    text = f"{shape[0]}, credentials {shape[1]}, access identity {shape[2]}"
    return judged(text, holds=shape == ("AzureDataLakeGen2", "None", "None"))


def _data_plane(target: Target) -> Answer:
    """Ask whether a workspace with a private endpoint has its own host for discovery, run history and MLflow."""
    properties = target.get(target.workspace)["properties"]
    url = str(properties["discoveryUrl"])
    own = url.startswith(f"https://{properties['workspaceId']}.workspace.")
    private = bool(properties.get("privateEndpointConnections"))
    return judged(f"{'a' if private else 'no'} private endpoint, {url}", holds=own == private)


def _default_deployment(target: Target) -> Answer:
    """Put the endpoint without `defaults`, read it, and restore a default that is gone."""
    id_ = f"{target.workspace}/batchEndpoints/{target.outputs.batch_endpoint}"
    endpoint = target.get(id_)
    default = _default(endpoint)
    if default is None:
        return skipped("nothing is published: the endpoint has no default deployment")
    properties = {key: value for key, value in endpoint["properties"].items() if key not in _READ_ONLY}
    body = {key: endpoint[key] for key in _ENDPOINT_FIELDS if endpoint.get(key) is not None}
    try:
        target.put(id_, body | {"properties": properties})
        left = _default(target.get(id_))
    finally:
        if _default(target.get(id_)) != default:
            target.put(id_, body | {"properties": properties | {"defaults": {"deploymentName": default}}})
    return judged(f"{default} before, {left} after", holds=left is None)


def _default(endpoint: Mapping[str, Any]) -> str | None:
    name = ((endpoint["properties"].get("defaults")) or {}).get("deploymentName")
    return str(name) if name else None


def _environment(target: Target) -> Answer:
    id_ = f"{target.workspace}/environments/{job_environment.NAME}/versions/{job_environment.version()}"
    environment = target.clients.arm.get(id_)
    if environment is None:
        return skipped(f"this checkout's environment {job_environment.version()} is not published")
    properties = environment["properties"]
    python = [line.strip(" -\"'") for line in str(properties.get("condaFile")).splitlines() if "python=" in line]
    text = f"image {properties.get('image')}, {python[0] if python else 'no python'}, {properties.get('osType')}"
    return judged(text, holds=properties.get("image") == job_environment.IMAGE and bool(python))


def _build_time(target: Target) -> Answer:
    """Azure ML builds an image in a run of its own, of the experiment prepare_image."""
    builds = [
        step
        for job in target.clients.arm.list(f"{target.workspace}/jobs", "2024-10-01", listViewType="All")
        if job["properties"].get("experimentName") == "prepare_image"
        for step in [target.history.run(job["name"])]
        if step.seconds is not None
    ]
    if not builds:
        return skipped("no run of the experiment prepare_image: nothing was built as a run of the workspace")
    slowest = max(step.seconds or 0 for step in builds)
    return measured(f"{len(builds)} builds, the slowest took {slowest:.0f} s")


def _image_tag(target: Target) -> Answer:
    """Ask whether the registry answers without a sign-in."""
    host, _, rest = job_environment.IMAGE.partition("/")
    repository, _, tag = rest.partition(":")
    url = f"https://{host}/v2/{repository}/manifests/{tag}"
    answer = httpx.head(url, headers={"Accept": _MANIFESTS}, timeout=30, follow_redirects=True)
    if answer.status_code not in {200, 404}:
        answer.raise_for_status()
    return judged(f"{answer.status_code} for {tag}", holds=answer.status_code == 200)


PROBES = (
    Probe(
        name="identity-datastore",
        believed="the datastore is AzureDataLakeGen2 with credentials None and access identity None",
        basis="Azure/bicep-types-az#2468; learn.microsoft.com/azure/machine-learning/how-to-datastore",
        ask=_datastore,
    ),
    Probe(
        name="workspace-host",
        believed="discovery is at the workspace's own host where it has a private endpoint, else at the region's",
        basis="MicrosoftDocs/azure-docs how-to-custom-dns.md; azureml-mlflow _internal/utils.py",
        ask=_data_plane,
    ),
    Probe(
        name="default-deployment-after-update",
        believed="a PUT of a batch endpoint without `defaults` unseats its default deployment",
        basis="Azure/azure-rest-api-specs, BatchEndpointDefaults; docs/adr/0018",
        kind=Kind.CHANGE,
        ask=_default_deployment,
    ),
    Probe(
        name="environment-version",
        believed="the published environment keeps image and conda file as they were sent",
        basis="Azure/azure-rest-api-specs, EnvironmentVersionProperties",
        ask=_environment,
    ),
    Probe(
        name="image-build-time",
        believed="the environment's image is built once, in 10 to 45 minutes",
        basis="MicrosoftLearning/mslearn-azure-ml#58",
        ask=_build_time,
    ),
    Probe(
        name="base-image-tag",
        believed=f"{job_environment.IMAGE} can be pulled",
        basis="mlops/job_environment.py; mcr.microsoft.com",
        ask=_image_tag,
    ),
)
