"""Registries, and models that go through them from one workspace to the next, by azure-ai-ml."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml import Input, MLClient, command, dsl, load_component, load_registry
from azure.ai.ml.entities import Data, Environment, Model
from azure.ai.ml.exceptions import ValidationException
from localcloud.core.database import Database
from localcloud.entra.directory import Directory
from localcloud.testing.azure_session import error_of, unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.workspace_session import IMAGE, ML, MlWorkspace
from localcloud.testing.workspace_session import ml as ml

Json = dict[str, Any]

_REGISTRY_USER = "1823dd4f-9b8c-4ab6-ab4e-7397a3684615"
_READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


def _body(**region: Any) -> Json:
    details = {
        "location": "westeurope",
        "storageAccountDetails": [{"systemCreatedStorageAccount": {"storageAccountType": "Standard_LRS"}}],
        "acrDetails": [{"systemCreatedAcrAccount": {"acrAccountSku": "Premium"}}],
    }
    return {
        "location": "westeurope",
        "identity": {"type": "SystemAssigned"},
        "properties": {"regionDetails": [details | region]},
    }


@pytest.fixture(scope="module")
def registry(ml: MlWorkspace) -> Iterator[str]:
    name = unique("reg")
    id_ = f"{ml.group}/providers/Microsoft.MachineLearningServices/registries/{name}"
    ml.azure.put(id_, ML, _body())
    yield id_
    group = ml.azure.arm("GET", id_, ML).json()["properties"]["managedResourceGroup"]["resourceId"]
    ml.azure.finish(ml.azure.arm("DELETE", id_, ML))
    assert ml.azure.arm("GET", group, "2024-03-01").status_code == 404


def _model(ml: MlWorkspace, folder: Path, version: str = "1") -> Model:
    (folder / "sub").mkdir(exist_ok=True)
    (folder / "weights.txt").write_text("w")
    (folder / "sub" / "more.txt").write_text("m")
    name = unique("model")
    return ml.client.models.create_or_update(
        Model(name=name, version=version, path=str(folder), type="custom_model", tags={"commit": "abc"})
    )


def test_a_shared_model_is_listed_and_downloaded_with_its_tags(ml: MlWorkspace, registry: str, tmp_path: Path) -> None:
    model = _model(ml, tmp_path)
    name = registry.rsplit("/", 1)[-1]
    shared = ml.client.models.share(
        model.name, "1", share_with_name=model.name, share_with_version="7", registry_name=name
    )
    assert shared.id == f"azureml://registries/{name}/models/{model.name}/versions/7"
    assert shared.tags == {"commit": "abc"}
    client = MLClient(ml.azure.credential, registry_name=name)
    assert client.models.get(model.name, label="latest").version == "7"
    assert [listed.version for listed in client.models.list(name=model.name)] == ["7"]
    client.models.download(model.name, "7", download_path=tmp_path / "down")
    texts = {file.name: file.read_text() for file in (tmp_path / "down").rglob("*.txt")}
    assert texts == {"weights.txt": "w", "more.txt": "m"}
    with pytest.raises(ValidationException, match="already exists in registry"):
        ml.client.models.share(model.name, "1", share_with_name=model.name, share_with_version="7", registry_name=name)


def test_a_model_is_registered_from_local_files_and_archived(ml: MlWorkspace, registry: str, tmp_path: Path) -> None:
    (tmp_path / "weights.txt").write_text("w")
    client = MLClient(ml.azure.credential, registry_name=registry.rsplit("/", 1)[-1])
    name = unique("model")
    client.models.create_or_update(Model(name=name, version="1", path=str(tmp_path / "weights.txt")))
    assert [model.version for model in client.models.list(name=name)] == ["1"]
    client.models.archive(name, "1")
    assert list(client.models.list(name=name)) == []


def test_a_version_in_a_registry_never_changes(ml: MlWorkspace, registry: str, tmp_path: Path) -> None:
    model = _model(ml, tmp_path)
    ml.client.models.share(
        model.name, "1", share_with_name=model.name, share_with_version="1", registry_name=registry.rsplit("/", 1)[-1]
    )
    id_ = f"{registry}/models/{model.name}/versions/1"
    properties = ml.azure.arm("GET", id_, ML).json()["properties"]
    answer = ml.azure.arm("PUT", id_, ML, {"properties": properties | {"modelUri": properties["modelUri"] + "x"}})
    assert error_of(answer)[:2] == (409, "Conflict")


def _components(client: MLClient, folder: Path) -> str:
    """Put an environment and a command component with code into the registry; return the component's name."""
    name, registry = unique("part"), client.environments._registry_name
    client.environments.create_or_update(Environment(name=f"{name}-env", version="1", image=IMAGE))
    (folder / "code").mkdir()
    (folder / "code" / "write.py").write_text("import sys; open(sys.argv[1], 'w').write('shared')")
    (folder / "component.yml").write_text(
        "$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json\n"
        f"type: command\nname: {name}\nversion: '1'\ncode: code\n"
        f"environment: azureml://registries/{registry}/environments/{name}-env/versions/1\n"
        "outputs: {out: {type: uri_file}}\ncommand: python write.py ${{outputs.out}}\n"
    )
    client.components.create_or_update(load_component(folder / "component.yml"))
    return name


def test_a_pipeline_runs_a_registrys_component_with_its_code_and_environment(
    ml: MlWorkspace, registry: str, tmp_path: Path
) -> None:
    client = MLClient(ml.azure.credential, registry_name=registry.rsplit("/", 1)[-1])
    name = _components(client, tmp_path)
    assert name in [component.name for component in client.components.list()]
    assert [component.version for component in client.components.list(name=name)] == ["1"]
    assert client.environments.get(f"{name}-env", label="latest").version == "1"
    shared = client.components.get(name, "1")

    @dsl.pipeline(compute="cpu")  # type: ignore[untyped-decorator]
    def pipeline() -> None:
        shared()

    job = ml.client.jobs.create_or_update(pipeline())
    assert ml.finished(job.name).status == "Completed"


def test_a_registrys_component_needs_an_existing_environment(ml: MlWorkspace, registry: str) -> None:
    spec = {"type": "command", "command": "true", "environment": "azureml:nothing:1"}
    id_ = f"{registry}/components/{unique('part')}/versions/1"
    status, code, message = error_of(ml.azure.arm("PUT", id_, ML, {"properties": {"componentSpec": spec}}))
    assert (status, code) == (404, "NotFound")
    assert f"'azureml:nothing:1' was not found in registry '{registry.rsplit('/', 1)[-1]}'" in message


def test_data_and_environments_are_shared_and_read_by_jobs(ml: MlWorkspace, registry: str, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b\n")
    name, registry_name = unique("asset"), registry.rsplit("/", 1)[-1]
    target = {"share_with_name": name, "share_with_version": "1", "registry_name": registry_name}
    ml.client.data.create_or_update(Data(name=name, version="1", path=str(tmp_path / "data.csv"), type="uri_file"))
    shared = ml.client.data.share(name, "1", **target)
    assert shared.id == f"azureml://registries/{registry_name}/data/{name}/versions/1"
    environment = ml.client.environments.share("training", "1", **target)
    job = ml.client.jobs.create_or_update(
        command(
            command="grep a,b ${{inputs.data}}", environment=environment.id, compute="cpu",
            inputs={"data": Input(type="uri_file", path=shared.id)},
        )
    )  # fmt: skip
    assert ml.finished(job.name).status == "Completed"
    with pytest.raises(ValidationException, match="already exists in registry"):
        ml.client.environments.share("training", "1", **target)


def test_data_of_a_registry_is_in_its_storage(ml: MlWorkspace, registry: str, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b\n")
    client = MLClient(ml.azure.credential, registry_name=registry.rsplit("/", 1)[-1])
    name = unique("data")
    data = client.data.create_or_update(Data(name=name, version="1", path=str(tmp_path), type="uri_folder"))
    assert data.path.startswith("https://ml")
    assert client.data.get(name, label="latest").version == "1"
    elsewhere = {"dataType": "uri_folder", "dataUri": "https://elsewhere.blob.core.windows.net/c/d"}
    answer = ml.azure.arm("PUT", f"{registry}/data/{name}/versions/2", ML, {"properties": elsewhere})
    assert error_of(answer)[:2] == (400, "UserError")
    assert "is not in the storage of registry" in error_of(answer)[2]


def test_an_upload_is_for_the_asset_that_its_address_names(ml: MlWorkspace, registry: str) -> None:
    name = registry.rsplit("/", 1)[-1]
    url = f"https://westeurope.api.azureml.ms/mferp/managementfrontend{registry}/tempdatarefs/one/versions/1"
    answer = requests.put(
        url, params={"api-version": "2021-10-01-dataplanepreview"},
        json={"assetId": f"azureml://registries/{name}/models/other/versions/1"},
        headers={"Authorization": f"Bearer {ml.token()}"}, timeout=30,
    )  # fmt: skip
    status, code, message = error_of(answer)
    assert (status, code) == (400, "UserError")
    assert f"use azureml://registries/{name}/KIND/one/versions/1" in message


def test_the_client_makes_a_registry(ml: MlWorkspace, tmp_path: Path) -> None:
    name = unique("reg")
    (tmp_path / "registry.yml").write_text(
        f"name: {name}\nlocation: westeurope\nreplication_locations:\n  - location: westeurope\n"
    )
    client = MLClient(ml.azure.credential, ml.azure.subscription_id, ml.group.rsplit("/", 1)[-1])
    client.registries.begin_create(load_registry(tmp_path / "registry.yml")).result()
    assert name in [registry.name for registry in client.registries.list()]
    id_ = f"{ml.group}/providers/Microsoft.MachineLearningServices/registries/{name}"
    (region,) = ml.azure.arm("GET", id_, ML).json()["properties"]["regionDetails"]
    account = region["storageAccountDetails"][0]["systemCreatedStorageAccount"]
    assert account["storageAccountType"] == "Standard_LRS"
    client.registries.begin_delete(name=name).result()
    assert ml.azure.arm("GET", id_, ML).status_code == 404


@pytest.mark.parametrize(
    ("region", "named"),
    [
        ({"location": "northeurope"}, "westeurope"),
        ({"storageAccountDetails": []}, "storageAccountDetails"),
        ({"storageAccountDetails": [{"systemCreatedStorageAccount": {"storageAccountType": "Best"}}]}, "'Best'"),
    ],
)
def test_an_invalid_registry_is_refused(ml: MlWorkspace, region: Json, named: str) -> None:
    id_ = f"{ml.group}/providers/Microsoft.MachineLearningServices/registries/{unique('reg')}"
    status, code, message = error_of(ml.azure.arm("PUT", id_, ML, _body(**region)))
    assert (status, code) == (400, "ValidationError")
    assert named in message


def test_an_unknown_registry_is_not_discovered(ml: MlWorkspace) -> None:
    url = "https://eastus.api.azureml.ms/registrymanagement/v1.0/registries/nothing/discovery"
    assert requests.get(url, timeout=30).status_code == 401
    answer = requests.get(url, headers={"Authorization": f"Bearer {ml.token()}"}, timeout=30)
    assert error_of(answer)[:2] == (404, "RegistryNotFound")


def test_a_registry_user_shares_only_models_that_it_may_read(
    ml: MlWorkspace, registry: str, cloud: Cloud, tmp_path: Path
) -> None:
    model = _model(ml, tmp_path)
    number = ml.azure.arm("GET", ml.id, ML).json()["properties"]["workspaceId"]
    database = Database(cloud.settings.database)
    directory = Directory(database)
    identity = directory.by_object_id(ml.identity["principalId"])
    assert identity is not None
    token = directory.issue_token(identity, "https://management.azure.com")
    database.close()
    properties = {"sourceAssetId": f"azureml://locations/westeurope/workspaces/{number}/models/{model.name}/versions/1"}

    def share() -> requests.Response:
        return requests.post(
            f"https://management.azure.com{registry}/import", params={"api-version": ML},
            json={"properties": properties}, headers={"Authorization": f"Bearer {token}"}, timeout=60,
        )  # fmt: skip

    status, code, message = error_of(share())
    assert (status, code) == (403, "AuthorizationFailed")
    assert "registries/assets/write" in message
    _assign(ml, registry, _REGISTRY_USER)
    assert "workspaces/models/versions/read" in error_of(share())[2]
    _assign(ml, ml.id, _READER)
    assert share().status_code == 200


def _assign(ml: MlWorkspace, scope: str, role: str) -> None:
    ml.azure.put(
        f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}", "2022-04-01",
        {
            "properties": {
                "principalId": ml.identity["principalId"], "principalType": "ServicePrincipal",
                "roleDefinitionId": f"{ml.azure.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}",
            }
        },
    )  # fmt: skip
