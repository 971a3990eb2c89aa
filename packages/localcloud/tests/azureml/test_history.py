"""Run history as a service of its own: azure-ai-ml's requests, and refusals."""

from __future__ import annotations

import html
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml import Input, Output
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient
from localcloud.core.json import Json
from localcloud.testing.azure_session import unique
from localcloud.testing.job_sources import STEP, code, component, details, log_of, pipeline, submit
from localcloud.testing.workspace_session import MlWorkspace
from localcloud.testing.workspace_session import ml as ml


def ask(ml: MlWorkspace, method: str, path: str, body: Json | None = None, **headers: str) -> requests.Response:
    headers = headers or {"Authorization": f"Bearer {ml.token()}"}
    service, rest = path.split("/", 1)
    version = {"metric": "v2.0"}.get(service, "v1.0")
    return requests.request(
        method, f"{ml.data_plane}/{service}/{version}{ml.id}/{rest}", json=body, headers=headers, timeout=60
    )


@pytest.fixture(scope="module")
def two_steps(ml: MlWorkspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the name of a finished pipeline job of two steps."""
    step = component(
        ml, code(tmp_path_factory.mktemp("s") / "src", step=STEP),
        "python step.py ${{inputs.word}} ${{outputs.words}} $[[${{inputs.before}}]]",
        inputs={"word": Input(type="string"), "before": Input(type="uri_folder", optional=True)},
        outputs={"words": Output(type="uri_folder")},
    )  # fmt: skip

    @pipeline(default_compute="cpu")
    def two() -> dict[str, Any]:
        first = step(word="one")
        second = step(word="two", before=first.outputs.words)
        return {"all": second.outputs.words}

    job = ml.client.jobs.create_or_update(two(), experiment_name=unique("history-"))
    assert ml.finished(job.name).status == "Completed"
    return str(job.name)


def test_a_run_has_its_times_parents_and_error_as_the_service_writes_them(ml: MlWorkspace, two_steps: str) -> None:
    parent = ask(ml, "GET", f"history/runs/{two_steps}").json()
    children = ask(ml, "GET", f"history/runs/{two_steps}/children").json()["value"]

    assert (parent["runId"], parent["parentRunId"], parent["rootRunId"]) == (two_steps, None, two_steps)
    assert (parent["status"], parent["error"], parent["runType"]) == ("Completed", None, "azureml.PipelineRun")
    assert [child["displayName"] for child in children] == ["first", "second"]
    for child in children:
        assert (child["parentRunId"], child["rootRunId"]) == (two_steps, two_steps)
        assert child["runType"] == "azureml.StepRun"
        assert parent["startTimeUtc"] <= child["startTimeUtc"] <= child["endTimeUtc"] <= parent["endTimeUtc"]
        assert child["compute"]["target"] == "cpu"
        assert child["outputs"]["words"]["type"] == "uri_folder"


def test_steps_are_runs_of_history_and_jobs_without_properties_of_arm(ml: MlWorkspace, two_steps: str) -> None:
    step = next(iter(ml.client.jobs.list(parent_job_name=two_steps)))

    properties = ml.azure.arm("GET", f"{ml.id}/jobs/{step.name}", "2024-10-01").json()

    assert properties["properties"] is None
    assert ml.client.jobs.get(step.name).status == "Completed"
    assert step.name not in {job.name for job in ml.client.jobs.list()}


def test_children_are_listed_in_pages(ml: MlWorkspace, two_steps: str) -> None:
    first = ask(ml, "GET", f"history/runs/{two_steps}/children?$top=1").json()
    second = requests.get(first["nextLink"], headers={"Authorization": f"Bearer {ml.token()}"}, timeout=60).json()

    assert [child["displayName"] for child in first["value"] + second["value"]] == ["first", "second"]
    assert "nextLink" not in second


def test_log_addresses_are_signed_for_reading_alone(ml: MlWorkspace) -> None:
    name = submit(ml, "echo said")
    ml.finished(name)
    url = details(ml, name)["logFiles"]["user_logs/std_log.txt"]

    with urllib.request.urlopen(url) as response:
        assert response.read() == b"said\n"
    written = requests.put(url, data=b"x", headers={"x-ms-blob-type": "BlockBlob"}, timeout=60)
    assert written.status_code == 403
    assert requests.get(url.split("?")[0], timeout=60).status_code in {401, 409}


def test_outputs_are_resolved_by_their_asset_ids(ml: MlWorkspace, two_steps: str) -> None:
    data = ask(ml, "POST", "history/rundata", {"runId": two_steps, "selectRunMetadata": True}).json()["runMetadata"]
    asset = data["outputs"]["all"]["assetId"]

    resolved = ask(ml, "POST", "data/dataversion/batchGetResolvedUris", {"values": [asset]}).json()["values"]
    unknown = ask(ml, "POST", "data/dataversion/batchGetResolvedUris", {"values": [asset.replace("_all/", "_none/")]})

    assert resolved[asset]["type"] == "uri_folder"
    assert resolved[asset]["uri"] == ml.client.jobs.get(two_steps).outputs["all"].path
    assert unknown.status_code == 404


def test_runs_of_an_experiment_are_queried_newest_first(ml: MlWorkspace, two_steps: str) -> None:
    experiment = ml.client.jobs.get(two_steps).experiment_name

    queried = ask(ml, "POST", f"history/experiments/{experiment}/runs:query", {"top": 10}).json()["value"]
    filtered = ask(ml, "POST", f"history/experiments/{experiment}/runs:query", {"filter": "x eq 1"})

    assert [run["displayName"] for run in queried][:2] == ["second", "first"]
    assert queried[-1]["runId"] == two_steps
    assert filtered.status_code == 501


def test_metrics_of_mlflow_are_run_metrics(ml: MlWorkspace, tmp_path: Path) -> None:
    source = code(
        tmp_path / "src",
        main="import mlflow\nfor step in range(3):\n    mlflow.log_metric('loss', 1 / (step + 1), step=step)\n",
    )
    name = submit(ml, "python main.py", code=str(source))
    ml.finished(name)

    listed = ask(ml, "POST", f"metric/runs/{name}/list", {}).json()["value"]
    full = ask(ml, "POST", f"metric/runs/{name}/full", {"metricName": "loss"}).json()["value"]

    assert [metric["metricKey"]["name"] for metric in listed] == ["loss"]
    assert [(point["step"], point["data"]["loss"]) for point in full] == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]


def test_runs_are_not_read_without_sign_in(ml: MlWorkspace, two_steps: str) -> None:
    nobody = ask(ml, "GET", f"history/runs/{two_steps}", Accept="application/json")
    wrong = ml.token("https://storage.azure.com")
    misdirected = ask(ml, "GET", f"history/runs/{two_steps}", Authorization=f"Bearer {wrong}")

    assert (nobody.status_code, misdirected.status_code) == (401, 401)
    assert nobody.json()["error"]["code"] == "AuthenticationFailed"


def test_unknown_runs_and_operations_are_named(ml: MlWorkspace, two_steps: str) -> None:
    missing = ask(ml, "GET", "history/runs/nothing")
    spans = ask(ml, "GET", f"history/runs/{two_steps}/spans")

    assert (missing.status_code, missing.json()["error"]["message"]) == (404, "RunId nothing was not found.")
    assert spans.status_code == 501
    assert f"/runs/{two_steps}/spans" in spans.json()["error"]["message"]
    with pytest.raises(HttpResponseError):
        ml.client.jobs.get("nothing")


HOSTILE = "<img src=x onerror=alert(1)>"


def _links(page: str) -> list[str]:
    return [html.unescape(link) for link in re.findall(r"href='([^']+)'", page)]


@pytest.fixture(scope="module")
def logged(ml: MlWorkspace, two_steps: str) -> str:
    """Return the name of the job, to which files, a metric, a tag and a model were logged."""
    files = {"report.html": "<h1>Why</h1>", "numbers.json": '{"a": 1}', "model/data.bin": "bytes", "user_logs/x": "log"}
    response = ask(
        ml, "POST", f"history/experiments/e/runs/{two_steps}/artifacts/batch/metadata",
        {"paths": [{"path": path} for path in files]},
    )  # fmt: skip
    assert response.status_code == 200, response.text
    for path, place in response.json()["artifactContentInformation"].items():
        BlobClient.from_blob_url(place["contentUri"]).upload_blob(files[path])
    model = unique("model")
    bodies: tuple[tuple[str, Json], ...] = (
        ("runs/log-batch", {
            "run_id": two_steps, "metrics": [{"key": "rmse", "value": 50.25, "timestamp": 1, "step": 0}],
            "tags": [{"key": "decision", "value": HOSTILE}],
        }),
        ("registered-models/create", {"name": model}),
        ("model-versions/create", {"name": model, "source": f"runs:/{two_steps}/model", "run_id": two_steps}),
    )  # fmt: skip
    for path, body in bodies:
        answer = requests.post(
            f"{ml.data_plane}/mlflow/v2.0{ml.id}/api/2.0/mlflow/{path}", json=body, timeout=60,
            headers={"Authorization": f"Bearer {ml.token()}"},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
    return two_steps


def _page(ml: MlWorkspace, address: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {ml.token('https://management.azure.com')}"}
    return requests.get(address, headers=headers, timeout=60)


def test_the_run_page_leads_to_the_list_the_artifacts_and_the_model(ml: MlWorkspace, logged: str) -> None:
    page = _page(ml, ml.client.jobs.get(logged).studio_url)

    links = _links(page.text)
    assert links[0] == "/_localcloud/azureml"
    artifacts = [link.split("/artifacts/")[1].split("?")[0] for link in links if "/artifacts/" in link]
    assert artifacts == ["report.html", "report.html", "model/data.bin", "numbers.json"], "pages first, and no logs"
    assert any("#/models/model" in link for link in links)
    assert "overflow-wrap:anywhere" in page.text
    assert "50.25" in page.text
    assert html.escape(HOSTILE) in page.text and HOSTILE not in page.text


def test_an_artifact_is_shown_without_rights(ml: MlWorkspace, logged: str) -> None:
    page = ml.client.jobs.get(logged).studio_url
    address, _, query = page.partition("?")

    report = _page(ml, f"{address}/artifacts/report.html?{query}")
    assert (report.status_code, report.text) == (200, "<h1>Why</h1>")
    policy = report.headers["content-security-policy"].split("; ")
    assert {"sandbox", "default-src 'none'"} <= set(policy) and "script-src" not in report.headers
    text = _page(ml, f"{address}/artifacts/numbers.json?{query}")
    assert (text.headers["content-type"], text.headers["x-content-type-options"]) == (
        "text/plain; charset=utf-8", "nosniff",
    )  # fmt: skip
    other = _page(ml, f"{address}/artifacts/model/data.bin?{query}")
    assert other.headers["content-disposition"].startswith("attachment;")
    missing = _page(ml, f"{address}/artifacts/none.html?{query}")
    assert (missing.status_code, missing.text) == (404, "There is no such artifact.")
    assert _page(ml, f"{address}/artifacts/a/%2e%2e/%2e%2e/other/x?{query}").status_code in (400, 404)
    assert requests.get(f"{address}/artifacts/report.html?{query}", timeout=60).status_code == 401


def test_the_list_distinguishes_jobs_and_shows_text_as_text(ml: MlWorkspace, logged: str) -> None:
    index = _page(ml, ml.client.jobs.get(logged).studio_url.split("/runs/")[0]).text

    row = next(row for row in index.split("<tr>") if f"<small>{logged}</small>" in row)
    assert "<small>rmse</small> 50.25" in row
    assert HOSTILE not in index and html.escape(HOSTILE) in row


def test_the_run_page_shows_steps_states_metrics_and_logs(ml: MlWorkspace, two_steps: str) -> None:
    job = ml.client.jobs.get(two_steps)

    headers = {"Authorization": f"Bearer {ml.token('https://management.azure.com')}"}
    page = requests.get(job.studio_url, headers=headers, timeout=60)
    step = next(step for step in ml.client.jobs.list(parent_job_name=two_steps) if step.display_name == "second")
    below = requests.get(step.studio_url, headers=headers, timeout=60)
    missing = requests.get(job.studio_url.replace(two_steps, "nothing"), headers=headers, timeout=60)
    index = requests.get(job.studio_url.split("/runs/")[0], headers=headers, timeout=60)
    mlflow_ui = next(link for link in _links(page.text) if "/experiments/" in link)

    assert page.status_code == 200
    for word in ("first", "second", "Completed", "executionlogs.txt", ml.name):
        assert word in page.text, word
    assert log_of(ml, step.name).strip() in below.text
    assert missing.status_code == 404
    assert two_steps in index.text
    assert f"/runs/{two_steps}" in mlflow_ui
    assert requests.get(mlflow_ui, headers=headers, timeout=60).status_code == 200
