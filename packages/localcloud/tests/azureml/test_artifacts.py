"""Artifacts as azureml-mlflow, Azure ML's plugin of MLflow's client, reads and writes them.

The plugin allows no MLflow as new as the lock's, so its requests are made here by hand: azureml-mlflow 1.62.
"""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path
from typing import Any

import mlflow
import pytest
import requests
from azure.ai.ml.entities import Model
from azure.storage.blob import BlobClient
from localcloud.azureml.mlflow import azureml_uris
from localcloud.testing.azure_session import unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.workspace_session import MlWorkspace
from localcloud.testing.workspace_session import ml as ml

Json = dict[str, Any]

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
ROOT = f"azureml://h/mlflow/v2.0{WORKSPACE}/experiments"


class Plugin:
    """The requests that the plugin makes."""

    def __init__(self, ml: MlWorkspace) -> None:
        self._ml = ml

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._ml.token()}", "User-Agent": "mlflow/3.15 azureml-mlflow/1.62"}
        return requests.request(method, f"{self._ml.data_plane}{path}", headers=headers, timeout=60, **options)

    def mlflow(self, method: str, path: str, **options: Any) -> Json:
        answer = self.send(method, f"/mlflow/v2.0{self._ml.id}/api/2.0/mlflow/{path}", **options)
        assert answer.status_code == 200, answer.text
        content: Json = answer.json()
        return content

    def run(self) -> tuple[str, str]:
        """Return the id of a new run and the address of its artifacts."""
        experiment = self.mlflow("POST", "experiments/create", json={"name": unique("exp-")})["experiment_id"]
        details = self.mlflow("GET", "experiments/get", params={"experiment_id": experiment})["experiment"]
        assert details["artifact_location"] == "", "Azure ML's experiments have none"
        info = self.mlflow("POST", "runs/create", json={"experiment_id": experiment, "start_time": 1})["run"]["info"]
        assert info["artifact_uri"].startswith(f"azureml://westeurope.api.azureml.ms/mlflow/v2.0{self._ml.id}/")
        return info["run_id"], info["artifact_uri"]

    def upload(self, folder: str, **files: str) -> Json:
        answer = self.send("POST", f"{folder}/batch/metadata", json={"paths": [{"path": name} for name in files]})
        assert answer.status_code == 200, answer.text
        for name, place in answer.json()["artifactContentInformation"].items():
            BlobClient.from_blob_url(place["contentUri"]).upload_blob(files[name])
        errors: Json = answer.json()["errors"]
        return errors

    def paths(self, folder: str) -> list[str]:
        return [artifact["path"] for artifact in self.send("GET", folder).json()["value"]]

    def read(self, folder: str, path: str) -> bytes:
        place = self.send("GET", f"{folder}/contentinfo", params={"path": path})
        assert place.status_code == 200, place.text
        content: bytes = BlobClient.from_blob_url(place.json()["contentUri"]).download_blob().readall()
        return content


def test_a_model_is_registered_by_the_address_of_a_run_s_files(ml: MlWorkspace) -> None:
    """mlflow.register_model(mlflow.get_artifact_uri("model"), …) after a run outside of a job."""
    plugin = Plugin(ml)
    run, address = plugin.run()
    plugin.upload(_run_folder(ml, address, run), **{"model/MLmodel": "flavors: {}"})
    name = unique("model")
    plugin.mlflow("POST", "registered-models/create", json={"name": name})

    version = plugin.mlflow(
        "POST", "model-versions/create", json={"name": name, "source": f"{address}/model", "await_creation_for": 300}
    )["model_version"]

    assert (version["version"], version["run_id"], version["source"]) == ("1", run, f"{address}/model")


def _run_folder(ml: MlWorkspace, address: str, run: str) -> str:
    experiment = address.rsplit("/experiments/", 1)[1].split("/")[0]
    return f"/history/v1.0{ml.id}/experiments/{experiment}/runs/{run}/artifacts"


@pytest.mark.parametrize(
    ("stored", "uri"),
    [
        ({"artifact_uri": "mlflow-artifacts:/7/run/artifacts"}, f"{ROOT}/7/runs/run/artifacts"),
        ({"artifact_uri": "mlflow-artifacts:/workspaces/x/7/run/artifacts/a/b"}, f"{ROOT}/7/runs/run/artifacts/a/b"),
        (
            {"artifact_uri": "mlflow-artifacts:/7/models/m-1/artifacts", "source_run_id": "run", "name": "model"},
            f"{ROOT}/7/runs/run/artifacts/model",
        ),
        (
            {
                "artifact_uri": "mlflow-artifacts:/7/models/m-1/artifacts", "source_run_id": "run", "name": "model",
                "tags": [{"key": "azureml.artifactPath", "value": "ExperimentRun/dcid.run/model.m-1"}],
            },
            f"{ROOT}/7/runs/run/artifacts/model.m-1",
        ),
        ({"artifact_uri": "mlflow-artifacts:/7/models/m-1/artifacts"}, "azureml://artifacts/models/m-1/artifacts"),
        ({"artifact_uri": "mlflow-artifacts:/registered/name/3"}, "azureml://artifacts/registered/name/3"),
        ({"artifact_uri": "models:/m-1"}, "models:/m-1"),
    ],
)  # fmt: skip
def test_each_of_mlflow_s_addresses_has_one_of_azure_ml_s(stored: Json, uri: str) -> None:
    assert azureml_uris.with_public_uris({"info": [stored]}, "h", WORKSPACE)["info"][0]["artifact_uri"] == uri


@pytest.mark.parametrize(
    ("fields", "workspace", "source"),
    [
        (
            {"source": f"{ROOT}/7/runs/run/artifacts/model"},
            "default",
            "mlflow-artifacts:/workspaces/default/7/run/artifacts/model",
        ),
        ({"source": f"{ROOT}/7/runs/run/artifacts"}, "x", "mlflow-artifacts:/workspaces/x/7/run/artifacts"),
        (
            {"source": f"{ROOT}/7/runs/run/artifacts/model", "model_id": "m-1"},
            "default",
            "mlflow-artifacts:/workspaces/default/7/models/m-1/artifacts",
        ),
        ({"source": "azureml://artifacts/LocalUpload/a/b"}, "default", "azureml://artifacts/LocalUpload/a/b"),
    ],
)
def test_sources_at_azure_ml_s_address_are_stored_as_mlflow_s(fields: Json, workspace: str, source: str) -> None:
    assert azureml_uris.stored(fields, workspace)["source"] == source


def test_a_run_s_artifacts_are_written_once_listed_and_read_on_both_sides(
    ml: MlWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = Plugin(ml)
    run, address = plugin.run()
    folder = _run_folder(ml, address, run)

    assert plugin.upload(folder, **{"a.txt": "one", "sub/b.txt": "two"}) == {}
    errors = plugin.upload(folder, **{"a.txt": "other"})

    assert "already exists" in errors["a.txt"]["error"]["message"]
    assert sorted(plugin.paths(folder)) == ["a.txt", "sub/b.txt"]
    assert [
        artifact["path"] for artifact in plugin.send("GET", f"{folder}/path", params={"path": "sub"}).json()["value"]
    ] == ["sub/b.txt"]
    assert plugin.read(folder, "a.txt") == b"one"
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", ml.token())
    plain = mlflow.MlflowClient(f"{ml.data_plane}/mlflow/v1.0{ml.id}")
    assert [artifact.path for artifact in plain.list_artifacts(run)] == ["a.txt", "sub"], (
        "MLflow's own client sees the same"
    )
    assert plain.get_run(run).info.artifact_uri.startswith("mlflow-artifacts:/"), "and keeps its own addresses"


def test_where_the_plugin_is_only_installed_mlflow_keeps_its_addresses(ml: MlWorkspace) -> None:
    plugin = Plugin(ml)
    run, _ = plugin.run()
    answer = plugin.send("GET", f"/mlflow/v1.0{ml.id}/api/2.0/mlflow/runs/get", params={"run_id": run})
    assert answer.json()["run"]["info"]["artifact_uri"].startswith("mlflow-artifacts:/")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "a\x00", "a\\..\\..\\x", "a" * 1100])
def test_an_artifacts_path_leads_out_of_no_folder(ml: MlWorkspace, path: str) -> None:
    plugin = Plugin(ml)
    run, address = plugin.run()
    folder = _run_folder(ml, address, run)
    for answer in (
        plugin.send("GET", f"{folder}/path", params={"path": path}),
        plugin.send("GET", f"{folder}/contentinfo", params={"path": path}),
        plugin.send("POST", f"{folder}/batch/metadata", json={"paths": [{"path": path}]}),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] in {"InvalidUri", "OutOfRangeInput"}


@pytest.mark.parametrize("dots", ["../..", "%2e%2e/%2e%2e", "mlflow/../../.."])
def test_a_path_of_mlflow_leads_to_the_operation_that_is_authorized(cloud: Cloud, ml: MlWorkspace, dots: str) -> None:
    trust = ssl.create_default_context(cafile=cloud.settings.tls / "ca.pem")
    connection = http.client.HTTPSConnection("localhost", cloud.settings.gateway_port, context=trust, timeout=30)
    headers = {"Host": ml.data_plane.removeprefix("https://"), "Authorization": f"Bearer {ml.token()}"}
    url = f"/mlflow/v1.0{ml.id}/api/2.0/{dots}/_localcloud/empty-default"
    connection.request("POST", url, body=b"{}", headers=headers)
    answer = connection.getresponse()
    assert (answer.status, b"segments of dots" in answer.read()) == (400, True)
    connection.close()


def test_a_missing_artifact_answers_404(ml: MlWorkspace) -> None:
    plugin = Plugin(ml)
    run, address = plugin.run()
    folder = _run_folder(ml, address, run)
    assert plugin.send("GET", f"{folder}/contentinfo", params={"path": "none"}).status_code == 404
    unknown = plugin.send("GET", folder.replace(run, "0" * 32))
    assert unknown.status_code == 404 and "was not found" in unknown.json()["error"]["message"]
    assert plugin.send("POST", f"{folder}/batch/metadata", json={"paths": [{}]}).status_code == 400
    assert plugin.send("DELETE", folder).status_code == 501
    assert requests.get(f"{ml.data_plane}{folder}", timeout=30).status_code == 401


def test_an_uploaded_folder_becomes_a_version_and_a_version_of_azure_ml_is_read(
    ml: MlWorkspace, tmp_path: Path
) -> None:
    plugin, name = Plugin(ml), unique("local")
    uploads = f"/artifact/v2.0{ml.id}/artifacts"
    place = f"LocalUpload/{unique('up-')}"
    plugin.upload(f"{uploads}/{place}", **{"saved/MLmodel": "flavors:\n  python_function: {}\n"})
    plugin.mlflow("POST", "registered-models/create", json={"name": name})
    source = f"azureml://artifacts/{place}/saved"
    plugin.mlflow("POST", "model-versions/create", json={"name": name, "source": source})
    model = ml.client.models.get(name, "1")
    assert str(model.path).endswith(f"/datastores/workspaceartifactstore/paths/{place}/saved")
    assert model.type == "mlflow_model"

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.txt").write_text("weights")
    ml.client.models.create_or_update(Model(name=f"{name}-b", path=str(tmp_path / "model"), type="custom_model"))
    key = {"name": f"{name}-b", "version": "1"}
    address = plugin.mlflow("GET", "model-versions/get-download-uri", params=key)["artifact_uri"]
    assert address == f"azureml://artifacts/registered/{name}-b/1"
    folder = f"{uploads}/registered/{name}-b"
    assert plugin.paths(folder) == ["1/weights.txt"]
    assert plugin.read(folder, "1/weights.txt") == b"weights"
    refused = plugin.send("POST", f"{folder}/batch/metadata", json={"paths": [{"path": "1/more.txt"}]})
    assert refused.status_code == 403
