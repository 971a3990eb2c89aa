"""Deployments that fail, with Azure's codes and logs that say why; scoring scripts; and the gateway's restart."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from azure.ai.ml.entities import (
    CodeConfiguration,
    Environment,
    IdentityConfiguration,
    ManagedIdentityConfiguration,
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    Model,
    ProbeSettings,
)
from azure.core.exceptions import HttpResponseError
from localcloud.testing.azure_session import unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.online_session import (
    NEEDED,
    REQUEST,
    deployment,
    find_server,
    logs,
    register,
    save,
    score,
    serve,
    server_of,
)
from localcloud.testing.plugin_process import Plugin
from localcloud.testing.workspace_session import IMAGE, MlWorkspace, wait_for
from localcloud.testing.workspace_session import ml as ml


@pytest.fixture(scope="module")
def model(ml: MlWorkspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the id of a registered model that can be deployed."""
    return register(ml, save(tmp_path_factory.mktemp("sum")))


@pytest.fixture
def empty(ml: MlWorkspace) -> Iterator[Callable[..., str]]:
    """Return a function that makes an endpoint without deployments."""
    names: list[str] = []

    def create(**settings: Any) -> str:
        names.append(unique("oep"))
        ml.client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=names[-1], **settings)).result()
        return names[-1]

    yield create
    for name in names:
        ml.client.online_endpoints.begin_delete(name).result()


def _fails(ml: MlWorkspace, deployment: ManagedOnlineDeployment) -> tuple[str, str]:
    """Return (code, message) of a deployment that fails."""
    with pytest.raises(HttpResponseError) as failed:
        ml.client.online_deployments.begin_create_or_update(deployment).result()
    current = ml.client.online_deployments.get(deployment.name, deployment.endpoint_name)
    assert current.provisioning_state == "Failed"
    assert failed.value.error is not None
    return str(failed.value.error.code), str(failed.value.message)


@pytest.mark.nightly
def test_a_model_without_azure_s_monitoring_package_crashes_as_on_azure(
    ml: MlWorkspace, empty: Callable[..., str], tmp_path: Path
) -> None:
    packages = [line for line in NEEDED if not line.startswith("azureml-ai-monitoring")]
    name = empty()
    model = register(ml, save(tmp_path, packages=packages))
    code, message = _fails(ml, deployment(name, "blue", model))
    assert code == "ResourceNotReady"
    assert "User container has crashed or terminated" in message and "aka.ms/oe-tsg" in message
    log = logs(ml, name)
    assert "ModuleNotFoundError: No module named 'azureml'" in log
    assert "UserContainerStart: Failed" in log


def test_an_environment_that_cannot_be_built_fails_the_image_build(
    ml: MlWorkspace, empty: Callable[..., str], tmp_path: Path
) -> None:
    packages = [*NEEDED, "pandas==0.0.1"]
    name = empty()
    code, message = _fails(ml, deployment(name, "blue", register(ml, save(tmp_path, packages=packages))))
    assert code == "ImageBuildFailure"
    assert "cannot be built" in message
    log = logs(ml, name)
    assert "UserContainerImagePull: Failed" in log and "pandas" in log


def test_a_model_that_cannot_be_loaded_fails_and_its_log_has_the_reason(
    ml: MlWorkspace, empty: Callable[..., str], tmp_path: Path
) -> None:
    name = empty()
    folder = save(tmp_path)
    (folder / "sum_model.py").write_text("raise RuntimeError('the weights are gone')\n")
    code, _ = _fails(ml, deployment(name, "blue", register(ml, folder)))
    assert code == "ResourceNotReady"
    assert "the weights are gone" in logs(ml, name)


def test_a_model_that_is_no_mlflow_model_needs_a_scoring_script(
    ml: MlWorkspace, empty: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "weights.bin").write_bytes(b"weights")
    model = ml.client.models.create_or_update(Model(name=unique("custom"), path=str(tmp_path / "weights.bin")))
    code, message = _fails(ml, deployment(empty(), "blue", str(model.id)))
    assert code == "BadArgument"
    assert "custom_model" in message


def test_an_mlflow_model_without_a_conda_file_is_refused(
    ml: MlWorkspace, empty: Callable[..., str], tmp_path: Path
) -> None:
    folder = save(tmp_path)
    (folder / "conda.yaml").unlink()
    code, message = _fails(ml, deployment(empty(), "blue", register(ml, folder)))
    assert code == "BadArgument"
    assert "lacks its conda file 'conda.yaml'" in message


def test_a_user_assigned_identity_needs_its_roles(ml: MlWorkspace, empty: Callable[..., str], model: str) -> None:
    identity = IdentityConfiguration(
        type="user_assigned", user_assigned_identities=[ManagedIdentityConfiguration(resource_id=ml.identity_id)]
    )
    code, message = _fails(ml, deployment(empty(identity=identity), "blue", model))
    assert code == "BadArgument"
    assert "Endpoint identity does not have pull permission on the registry" in message


@pytest.mark.nightly
def test_a_failed_update_leaves_the_running_server_alone(
    ml: MlWorkspace, cloud: Cloud, model: str, tmp_path: Path
) -> None:
    (tmp_path / "weights.bin").write_bytes(b"weights")
    custom = ml.client.models.create_or_update(Model(name=unique("custom"), path=str(tmp_path / "weights.bin")))
    endpoint = serve(ml, model)
    before = server_of(cloud, endpoint).pid
    _fails(ml, deployment(endpoint, "blue", str(custom.id)))
    assert score(ml, endpoint, REQUEST).json() == [3.0, 7.5]
    assert server_of(cloud, endpoint).pid == before
    ml.client.online_endpoints.begin_delete(endpoint).result()


@pytest.mark.nightly
def test_a_probe_that_gives_up_ends_the_deployment(ml: MlWorkspace, empty: Callable[..., str], tmp_path: Path) -> None:
    slow = "import time\ntime.sleep(60)\n"
    folder = save(tmp_path)
    script = folder / "sum_model.py"
    script.write_text(slow + script.read_text())
    name = empty()
    probe = ProbeSettings(initial_delay=1, period=1, timeout=1, failure_threshold=1)
    started = time.monotonic()
    code, message = _fails(ml, deployment(name, "blue", register(ml, folder), liveness_probe=probe))
    assert code == "ResourceNotReady"
    assert "Liveness probe failed" in message
    assert time.monotonic() - started < 50, "nobody waited for the model"


def test_pulumi_s_azure_native_deploys_a_model(ml: MlWorkspace, empty: Callable[..., str], model: str) -> None:
    plugin = Plugin("azure_native", dict(os.environ))
    plugin.configure()
    name = empty()
    inputs: dict[str, Any] = {
        "deploymentName": "blue", "endpointName": name, "workspaceName": ml.name,
        "resourceGroupName": ml.group.rsplit("/", 1)[-1], "location": "westeurope",
        "sku": {"name": "Default", "capacity": 1},
        "properties": {
            "endpointComputeType": "Managed", "instanceType": "Standard_DS3_v2", "model": model,
            "requestSettings": {"requestTimeout": "PT30S"},
        },
    }  # fmt: skip
    kind = "azure-native:machinelearningservices:OnlineDeployment"
    resource = plugin.create(kind, inputs)
    assert score(ml, name, REQUEST, **{"azureml-model-deployment": "blue"}).json() == [3.0, 7.5]
    refreshed, read_inputs = plugin.read(kind, resource.id, resource)
    assert refreshed is not None and read_inputs == inputs
    assert plugin.diff(kind, refreshed, inputs).changes == 1, "DIFF_NONE"
    larger = inputs | {"properties": inputs["properties"] | {"instanceType": "Standard_DS4_v2"}}
    assert list(plugin.diff(kind, refreshed, larger).replaces) == ["properties"], "another size, another deployment"
    assert plugin.stop() == ""


_SCRIPT = """
import json
import os

def init():
    global offset
    offset = int(os.environ["OFFSET"])
    print("the script has", sorted(os.listdir(os.environ["AZUREML_MODEL_DIR"])))

def run(raw_data):
    values = json.loads(raw_data)["values"]
    if not values:
        raise ValueError("there are no values")
    return [value + offset for value in values]
"""


def test_a_scoring_script_runs_in_its_own_environment(
    ml: MlWorkspace, empty: Callable[..., str], model: str, tmp_path: Path
) -> None:
    (tmp_path / "score.py").write_text(_SCRIPT)
    conda = {"name": "scoring", "dependencies": ["python=3.12", "pip", {"pip": ["azureml-inference-server-http"]}]}
    environment = ml.client.environments.create_or_update(
        Environment(name=unique("env"), image=IMAGE, conda_file=conda)
    )
    name = empty()
    scripted = deployment(
        name, "blue", model, code_configuration=CodeConfiguration(code=str(tmp_path), scoring_script="score.py"),
        environment=f"azureml:{environment.name}:{environment.version}", environment_variables={"OFFSET": "5"},
    )  # fmt: skip
    ml.client.online_deployments.begin_create_or_update(scripted).result()

    chosen = {"azureml-model-deployment": "blue"}
    assert score(ml, name, {"values": [1, 2]}, **chosen).json() == [6, 7]
    failed = score(ml, name, {"values": []}, **chosen)
    assert (failed.status_code, failed.headers["ms-azureml-model-error-statuscode"]) == (424, "500")
    assert failed.json()["message"] == "An unexpected error occurred in scoring script. Check the logs for more info."
    log = logs(ml, name)
    assert "the script has ['model']" in log and "ValueError: there are no values" in log


@pytest.mark.nightly
def test_a_deployment_goes_on_when_localcloud_starts_again(ml: MlWorkspace, cloud: Cloud, model: str) -> None:
    name = serve(ml, model)
    before = server_of(cloud, name).pid
    stopped = cloud.command("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert not psutil.pid_exists(before)

    started = cloud.command("start")
    assert started.returncode == 0, started.stderr
    wait_for(lambda: score(ml, name, REQUEST).status_code, lambda status: status == 200)
    assert score(ml, name, REQUEST).json() == [3.0, 7.5]
    assert server_of(cloud, name).pid != before
    ml.client.online_endpoints.begin_delete(name).result()
    assert find_server(cloud, name) is None
