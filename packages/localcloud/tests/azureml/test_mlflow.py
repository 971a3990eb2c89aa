"""MLflow by its own client: inside of jobs, by Azure ML's address, and by the server's own."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import requests
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.job_sources import code, error_of_run, job_body, log_of, pipeline, put_job, submit
from localcloud.testing.job_sources import component as component_of
from localcloud.testing.workspace_session import ML, MlWorkspace, make_workspace
from localcloud.testing.workspace_session import ml as ml
from mlflow.exceptions import MlflowException

TRACKED = """
import os, pathlib
import mlflow
with mlflow.start_run() as run:
    mlflow.log_metric("rmse", 2.0, step=0)
    mlflow.log_metric("rmse", 1.5, step=1)
    mlflow.log_param("depth", 3)
    pathlib.Path("note.txt").write_text("written by the job")
    mlflow.log_artifact("note.txt", "notes")
print("run=" + run.info.run_id, "experiment=" + run.info.experiment_id)
"""


def address(ml: MlWorkspace) -> str:
    return f"{ml.data_plane}/mlflow/v1.0{ml.id}"


@pytest.fixture
def tracking(ml: MlWorkspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[mlflow.MlflowClient]:
    """Return a client at Azure ML's address, as a person with a token has it."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", ml.token())
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    yield mlflow.MlflowClient(address(ml))


def test_start_run_in_a_job_is_the_job_s_own_run(
    ml: MlWorkspace, tracking: mlflow.MlflowClient, tmp_path: Path
) -> None:
    name = submit(
        ml, "python main.py", code=str(code(tmp_path / "src", main=TRACKED)), experiment_name="tracked", tags={"a": "b"}
    )

    assert ml.finished(name).status == "Completed", error_of_run(ml, name)
    assert f"run={name}" in log_of(ml, name)
    run = tracking.get_run(name)
    assert (run.info.status, run.data.metrics, run.data.params) == ("FINISHED", {"rmse": 1.5}, {"depth": "3"})
    assert run.data.tags["a"] == "b"
    assert tracking.get_experiment(run.info.experiment_id).name == "tracked"
    files = {item.path for item in tracking.list_artifacts(name)}
    assert files == {"notes", "user_logs"}
    blob = ml.blobs().get_blob_client("azureml", f"ExperimentRun/dcid.{name}/notes/note.txt")
    assert blob.download_blob().readall() == b"written by the job"


def test_steps_are_nested_below_their_pipeline(ml: MlWorkspace, tracking: mlflow.MlflowClient, tmp_path: Path) -> None:
    step = component_of(ml, code(tmp_path / "src", unused=""), "true")

    @pipeline(default_compute="cpu")
    def nested() -> None:
        step()

    job = ml.client.jobs.create_or_update(nested(), experiment_name="nested")
    assert ml.finished(job.name).status == "Completed"

    (child,) = ml.client.jobs.list(parent_job_name=job.name)
    assert tracking.get_run(child.name).data.tags["mlflow.parentRunId"] == job.name
    assert tracking.get_run(job.name).info.status == "FINISHED"


@pytest.mark.parametrize(("line", "final_state"), [("exit 1", "FAILED"), ("sleep 60", "KILLED")])
def test_a_run_has_the_final_state_of_its_job(
    ml: MlWorkspace, tracking: mlflow.MlflowClient, line: str, final_state: str
) -> None:
    name = submit(ml, line)
    if final_state == "KILLED":
        ml.in_state(name, "Running")
        ml.client.jobs.begin_cancel(name).result()

    ml.finished(name)

    assert tracking.get_run(name).info.status == final_state


def test_clients_track_and_register_by_azure_ml_s_address(
    ml: MlWorkspace, tracking: mlflow.MlflowClient, tmp_path: Path
) -> None:
    experiment = tracking.create_experiment(unique("by-hand-"))
    run = tracking.create_run(experiment)
    tracking.log_metric(run.info.run_id, "score", 0.5)
    (tmp_path / "big.bin").write_bytes(os.urandom(3_000_000))
    tracking.log_artifact(run.info.run_id, str(tmp_path / "big.bin"), "a folder/ünïcode")
    downloaded = tracking.download_artifacts(run.info.run_id, "a folder/ünïcode/big.bin", str(tmp_path))

    assert Path(downloaded).read_bytes() == (tmp_path / "big.bin").read_bytes()
    name = unique("model")
    tracking.create_registered_model(name, {"team": "x"})
    version = tracking.create_model_version(name, f"{run.info.artifact_uri}/a folder", run.info.run_id)
    assert version.version == "1"
    assert [version.run_id for version in tracking.search_model_versions(f"name='{name}'")] == [run.info.run_id]


def test_the_server_s_own_address_shows_the_first_workspace_or_any_by_name(
    ml: MlWorkspace, cloud: Cloud, tracking: mlflow.MlflowClient
) -> None:
    experiment = tracking.create_experiment(unique("seen-"))
    address, token = cloud.environment["MLFLOW_TRACKING_URI"], cloud.environment["MLFLOW_TRACKING_TOKEN"]
    signed_in = {"Authorization": f"Bearer {token}"}
    plain = requests.get(f"{address}/api/3.0/mlflow/workspaces", headers=signed_in, timeout=30)
    names = [workspace["name"] for workspace in plain.json()["workspaces"]]

    holders = [
        name
        for name in names
        if requests.get(
            f"{address}/api/2.0/mlflow/experiments/get",
            params={"experiment_id": experiment}, headers={"X-MLFLOW-WORKSPACE": name} | signed_in, timeout=30,
        ).ok
    ]  # fmt: skip

    assert len(holders) == 1, f"one of {names} holds the experiment"


@pytest.mark.nightly
def test_workspaces_do_not_see_each_other_s_runs_models_or_artifacts(
    ml: MlWorkspace, azure: AzureSession, tracking: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_workspace(azure, unique("aml-"))
    _check_jobs_of_one_name(ml, other, tracking)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", other.token())
    stranger = mlflow.MlflowClient(address(other))
    experiment = tracking.create_experiment(unique("mine-"))
    run = tracking.create_run(experiment)
    tracking.log_text(run.info.run_id, "secret", "a.txt")
    name = unique("model")
    tracking.create_registered_model(name)

    with pytest.raises(MlflowException, match="not found"):
        stranger.get_run(run.info.run_id)
    with pytest.raises(MlflowException, match="not found"):
        stranger.get_registered_model(name)
    assert run.info.run_id not in {run.info.run_id for run in stranger.search_runs([experiment])}
    path = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    answer = requests.get(
        f"{address(other)}/api/2.0/mlflow-artifacts/artifacts/{path}/a.txt",
        headers={"Authorization": f"Bearer {other.token()}"}, timeout=30,
    )  # fmt: skip
    assert answer.status_code in {400, 404}
    assert "secret" not in answer.text
    azure.finish(azure.arm("DELETE", other.id, ML, forceToPurge="true"))
    azure.finish(azure.arm("DELETE", other.group, "2024-03-01"))


def _check_jobs_of_one_name(ml: MlWorkspace, other: MlWorkspace, tracking: mlflow.MlflowClient) -> None:
    """MLflow's run ids are unique in all of its workspaces, job names only in one."""
    name = unique("same")
    for workspace, word in ((ml, "mine"), (other, "other")):
        line = f"python -c \"import mlflow; mlflow.start_run(); mlflow.log_text('{word}', 'who.txt')\""
        body = job_body(workspace, line)
        assert put_job(workspace, body, name)[0] == 201
        assert workspace.finished(name).status == "Completed", error_of_run(workspace, name)
        blob = workspace.blobs().get_blob_client("azureml", f"ExperimentRun/dcid.{name}/who.txt")
        assert blob.download_blob().readall().decode() == word
    assert tracking.get_run(name).info.status == "FINISHED"


@pytest.mark.nightly
def test_a_workspace_made_anew_starts_with_nothing(azure: AzureSession, monkeypatch: pytest.MonkeyPatch) -> None:
    name = unique("aml-")
    first = make_workspace(azure, name)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", first.token())
    mlflow.MlflowClient(address(first)).create_registered_model("kept-by-nobody")
    azure.finish(azure.arm("DELETE", first.id, ML, forceToPurge="true"))
    azure.finish(azure.arm("DELETE", first.group, "2024-03-01"))

    second = make_workspace(azure, name)

    assert list(second.client.models.list()) == []
    azure.finish(azure.arm("DELETE", second.id, ML, forceToPurge="true"))
    azure.finish(azure.arm("DELETE", second.group, "2024-03-01"))


def test_without_a_token_or_a_role_nothing_is_shown(ml: MlWorkspace, azure: AzureSession) -> None:
    url = f"{address(ml)}/api/2.0/mlflow/experiments/search"
    body = {"max_results": 5}
    wrong = azure.credential.get_token("https://storage.azure.com/.default").token

    nobody = requests.post(url, json=body, timeout=30)
    misdirected = requests.post(url, json=body, headers={"Authorization": f"Bearer {wrong}"}, timeout=30)
    by_arm = requests.post(
        url, json=body, headers={"Authorization": f"Bearer {ml.token('https://management.azure.com')}"}, timeout=30
    )

    assert (nobody.status_code, nobody.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert misdirected.status_code == 401
    assert by_arm.status_code == 200


def test_an_identity_without_a_role_in_the_workspace_is_refused_there(ml: MlWorkspace, tmp_path: Path) -> None:
    """The job's own token opens its workspace's MLflow; the identity's does only with a role."""
    source = code(
        tmp_path / "src",
        main="import os, requests\n"
        "from azure.identity import ManagedIdentityCredential\n"
        "token = ManagedIdentityCredential(client_id=os.environ['DEFAULT_IDENTITY_CLIENT_ID']).get_token(\n"
        "    'https://ml.azure.com/.default').token\n"
        "url = os.environ['MLFLOW_TRACKING_URI'].replace('azureml:', 'https:') + '/api/2.0/mlflow/experiments/search'\n"
        "for name, value in (('identity', token), ('run', os.environ['MLFLOW_TRACKING_TOKEN'])):\n"
        "    answer = requests.post(url, json={'max_results': 1}, headers={'Authorization': 'Bearer ' + value})\n"
        "    print(name, answer.status_code, answer.json().get('error_code'))\n"
        "print('token=' + os.environ['MLFLOW_TRACKING_TOKEN'])\n",
    )

    name = submit(ml, "python main.py", code=str(source))

    assert ml.finished(name).status == "Completed", error_of_run(ml, name)
    log = log_of(ml, name)
    assert "identity 403 PERMISSION_DENIED" in log
    assert "run 200 None" in log
    late = requests.post(
        f"{address(ml)}/api/2.0/mlflow/experiments/search", json={"max_results": 1},
        headers={"Authorization": f"Bearer {log.split('token=')[1].strip()}"}, timeout=30,
    )  # fmt: skip
    assert late.status_code == 401, "the token ends with the job"


def test_mlflow_s_pages_and_workspaces_are_not_served_at_azure_ml_s_address(ml: MlWorkspace) -> None:
    headers = {"Authorization": f"Bearer {ml.token()}"}

    for path in ("", "/api/3.0/mlflow/workspaces", "/ajax-api/2.0/mlflow/experiments/search"):
        assert requests.get(f"{address(ml)}{path}", headers=headers, timeout=30).status_code in {404, 501}, path


def test_a_plain_client_keeps_artifacts_before_the_first_job(ml: MlWorkspace, cloud: Cloud) -> None:
    """MLflow's default workspace goes to the oldest Azure ML workspace with its first request."""
    database = sqlite3.connect(cloud.settings.database, timeout=30)
    with database:
        # It is the state before any use: neither this workspace nor another one has MLflow's default.
        database.execute(
            "DELETE FROM azureml_mlflow_workspaces WHERE name = 'default' OR lower(workspace_id) = ?", (ml.id.lower(),)
        )
    database.close()
    address, token = cloud.environment["MLFLOW_TRACKING_URI"], cloud.environment["MLFLOW_TRACKING_TOKEN"]
    signed_in = {"Authorization": f"Bearer {token}"}
    artifact = f"{address}/api/2.0/mlflow-artifacts/artifacts/0/{unique('run')}/artifacts/note.txt"

    put = requests.put(artifact, data=b"hello", headers=signed_in, timeout=60)

    assert put.status_code == 200, put.text
    assert requests.get(artifact, headers=signed_in, timeout=60).content == b"hello"
