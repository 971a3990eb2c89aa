"""Driver of a notebook: the runtime's packages, Delta Lake, its identity, and nothing of the gateway."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotImplemented, PermissionDenied, ResourceDoesNotExist
from databricks.sdk.service import compute, iam, jobs
from databricks.sdk.service.workspace import ImportFormat
from localcloud.testing.azure_session import AzureSession, unique

NOTEBOOK = b"""# Databricks notebook source
import importlib.util
import json
import os
import sys

import numpy
import pandas
import pyarrow
import pyspark.pandas
import requests
import sklearn
from delta.tables import DeltaTable

here = "file:" + os.getcwd()


def outcome(call):
    try:
        return str(call())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


# COMMAND ----------

rows = spark.range(3)
rows.write.save(f"{here}/set")
table = DeltaTable.forPath(spark, f"{here}/set")
table.alias("t").merge(spark.range(2, 5).alias("s"), "t.id = s.id").whenNotMatchedInsertAll().execute()
spark.sql(f"OPTIMIZE delta.`{here}/set`")
rows.createOrReplaceTempView("rows")
delta = {
    "log": os.path.isdir("set/_delta_log"),
    "rows": spark.read.load(f"{here}/set").count(),
    "before": spark.read.format("delta").option("versionAsOf", 0).load(f"{here}/set").count(),
    "view": spark.sql("SELECT count(*) AS n FROM rows").first()["n"],
    "on a worker": spark.range(2).rdd.map(lambda row: pandas.__version__).first(),
}

# COMMAND ----------

lost = {
    "saveAsTable": outcome(lambda: rows.write.saveAsTable("kept")),
    "writeTo": outcome(lambda: rows.writeTo("kept").create()),
    "toTable": outcome(lambda: spark.readStream.format("rate").load().writeStream.toTable("kept")),
    "CREATE TABLE": outcome(lambda: sql("CREATE TABLE kept AS SELECT * FROM {rows}", rows=rows)),
    "CREATE SCHEMA": outcome(lambda: sql("CREATE SCHEMA kept")),
    "CREATE VIEW": outcome(lambda: sql("CREATE VIEW kept AS SELECT 1")),
    "DeltaTable": outcome(lambda: DeltaTable.create(spark).tableName("kept").addColumn("a", "INT").execute()),
    "/dbfs": outcome(lambda: open("/dbfs/kept", "w")),
    "/Volumes": outcome(lambda: os.makedirs("/Volumes/main/kept")),
    "no scheme": outcome(lambda: rows.write.save("/kept")),
}

# COMMAND ----------

from databricks.sdk import WorkspaceClient
from databricks.sdk.runtime import dbutils as imported_dbutils, spark as imported_spark

client = WorkspaceClient()
token = dbutils.notebook.entry_point.getDbutils().notebook().getContext().apiToken().get()
identity = {
    "user": client.current_user.me().user_name,
    "auth": client.config.auth_type,
    "same": [imported_dbutils is dbutils, imported_spark is spark],
    "elsewhere": [
        requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code
        for url in ("https://management.azure.com/subscriptions?api-version=2022-12-01", dbutils.widgets.get("blobs"))
    ],
}
print("the token is", token)
open(os.path.join(dbutils.widgets.get("folder"), "token"), "w").write(token)

# COMMAND ----------

dbutils.notebook.exit(json.dumps({
    "versions": {
        "python": ".".join(map(str, sys.version_info[:2])), "pandas": pandas.__version__, "numpy": numpy.__version__,
        "scikit-learn": sklearn.__version__, "pyarrow": pyarrow.__version__,
    },
    "importable": [
        name for name in ("localcloud", "infra", "mlops", "pulumi") if importlib.util.find_spec(name)
    ],
    "delta": delta, "lost": lost, "identity": identity, "variables": sorted(os.environ),
}))
"""
HARMLESS = {
    "DATABRICKS_RUNTIME_VERSION", "HOME", "HTTPS_PROXY", "JAVA_HOME", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK",
    "LANG", "LC_ALL", "LC_CTYPE", "MLFLOW_TRACKING_URI", "NO_PROXY", "PATH", "PYARROW_IGNORE_TIMEZONE",
    "PYSPARK_DRIVER_PYTHON",
    "PYSPARK_PYTHON", "PYTHONUNBUFFERED", "REQUESTS_CA_BUNDLE", "SPARK_AUTH_SOCKET_TIMEOUT", "SPARK_BUFFER_SIZE",
    "SPARK_HOME", "SPARK_LAUNCHER_OPTS", "SPARK_LOCAL_IP", "SSL_CERT_FILE", "TMPDIR", "TZ", "USER",
}  # fmt: skip


@pytest.fixture(scope="module")
def resource_group(azure: AzureSession) -> str:
    id_ = f"{azure.subscription}/resourceGroups/{unique('rg-')}"
    azure.put(id_, "2024-03-01", {"location": "westeurope"})
    return id_


@pytest.fixture(scope="module")
def client(azure: AzureSession, resource_group: str) -> Iterator[WorkspaceClient]:
    """Return a workspace's client, as the deployer."""
    workspace = azure.put(
        f"{resource_group}/providers/Microsoft.Databricks/workspaces/{unique('dbw-')}",
        "2026-01-01",
        {
            "location": "westeurope",
            "sku": {"name": "premium"},
            "properties": {"managedResourceGroupId": f"{resource_group}-managed", "computeMode": "Hybrid"},
        },
    )
    yield WorkspaceClient(
        host=f"https://{workspace['properties']['workspaceUrl']}",
        auth_type="azure-client-secret",
        azure_tenant_id=os.environ["AZURE_TENANT_ID"],
        azure_client_id=os.environ["AZURE_CLIENT_ID"],
        azure_client_secret=os.environ["AZURE_CLIENT_SECRET"],
    )


def run(
    client: WorkspaceClient, source: bytes, *, run_as: str | None = None, **parameters: str
) -> tuple[jobs.RunOutput, str]:
    """Run a notebook to its end; returns its output and its path. `run_as` may read the notebook, and nothing else."""
    folder = f"/Users/{os.environ['AZURE_CLIENT_ID']}/{uuid.uuid4().hex}"
    client.workspace.mkdirs(folder)
    client.workspace.upload(f"{folder}/nb.py", source, format=ImportFormat.AUTO)
    if run_as is not None:
        reader = iam.AccessControlRequest(service_principal_name=run_as, permission_level=iam.PermissionLevel.CAN_READ)
        folder_id = str(client.workspace.get_status(folder).object_id)
        client.permissions.update("directories", folder_id, access_control_list=[reader])
    cluster = compute.ClusterSpec(
        spark_version="17.3.x-scala2.13", node_type_id="Standard_DS3_v2", is_single_node=True,
        kind=compute.Kind.CLASSIC_PREVIEW,
    )  # fmt: skip
    task = jobs.SubmitTask("nb", notebook_task=jobs.NotebookTask(f"{folder}/nb", parameters), new_cluster=cluster)
    identity = None if run_as is None else jobs.JobRunAs(service_principal_name=run_as)
    run_id = client.jobs.submit(tasks=[task], run_as=identity).bind()["run_id"]
    run = client.jobs.wait_get_run_job_terminated_or_skipped(run_id, timeout=timedelta(minutes=5))
    assert run.tasks is not None and run.tasks[0].run_id is not None
    return client.jobs.get_run_output(run.tasks[0].run_id), f"{folder}/nb"


@pytest.fixture(scope="module")
def observed(
    azure: AzureSession, resource_group: str, client: WorkspaceClient, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Return the notebook's observations, with its token."""
    folder = tmp_path_factory.mktemp("token")
    account = unique("st")
    body = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    azure.put(f"{resource_group}/providers/Microsoft.Storage/storageAccounts/{account}", "2024-01-01", body)
    blobs = f"https://{account}.blob.core.windows.net/?comp=list"
    output, _ = run(client, NOTEBOOK, folder=str(folder), blobs=blobs)
    assert output.notebook_output is not None and output.notebook_output.result, output.error_trace
    return {**json.loads(output.notebook_output.result), "token": (folder / "token").read_text()}


@pytest.mark.nightly
def test_a_notebook_has_the_runtime_s_packages_and_none_of_the_checkout_s(observed: dict[str, Any]) -> None:
    assert observed["versions"] == {
        "python": "3.12", "pandas": "2.2.3", "numpy": "2.1.3", "scikit-learn": "1.6.1", "pyarrow": "19.0.1",
    }  # fmt: skip
    assert observed["importable"] == []


@pytest.mark.nightly
def test_delta_lake_is_the_default_format_by_path(observed: dict[str, Any]) -> None:
    assert observed["delta"] == {"log": True, "rows": 5, "before": 3, "view": 3, "on a worker": "2.2.3"}


@pytest.mark.nightly
def test_no_output_of_a_notebook_is_lost_silently(observed: dict[str, Any]) -> None:
    for way, error in observed["lost"].items():
        if way == "no scheme":
            assert 'No FileSystem for scheme "dbfs"' in error
        else:
            assert error.startswith("NotEmulatedError: localcloud does not emulate "), (way, error)
            assert "abfss://" in error, (way, error)


@pytest.mark.nightly
def test_databricks_sdk_signs_in_as_the_run_s_identity_while_the_run_lasts(
    client: WorkspaceClient, observed: dict[str, Any]
) -> None:
    assert observed["identity"] == {
        "user": os.environ["AZURE_CLIENT_ID"], "auth": "runtime", "same": [True, True], "elsewhere": [401, 401],
    }  # fmt: skip
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        WorkspaceClient(host=client.config.host, token=observed["token"], auth_type="pat").current_user.me()


@pytest.mark.nightly
def test_the_driver_has_harmless_variables_only(observed: dict[str, Any]) -> None:
    assert set(observed["variables"]) <= HARMLESS


@pytest.mark.parametrize(
    "cell",
    [
        "# MAGIC %pip install requests",
        pytest.param("!pip install requests", marks=pytest.mark.nightly),
        pytest.param("# MAGIC %sh pip install x", marks=pytest.mark.nightly),
    ],
)
def test_packages_are_not_added_and_the_refusal_names_the_remedy(client: WorkspaceClient, cell: str) -> None:
    output, _ = run(client, f"# Databricks notebook source\n{cell}\n".encode())
    assert "no packages are added to a run here" in (output.error or "")
    assert "put the module beside the notebook as a workspace file" in (output.error or "")


@pytest.mark.nightly
def test_a_path_without_a_scheme_fails_with_its_meaning(client: WorkspaceClient) -> None:
    output, _ = run(client, b"# Databricks notebook source\nspark.range(2).write.save('/kept')\n")
    assert "localcloud does not emulate DBFS, where paths without a scheme are: use abfss://" in (output.error or "")


TRACKED = b"""# Databricks notebook source
import json

import mlflow
from sklearn.linear_model import LinearRegression

with mlflow.start_run(run_name="own") as own:
    mlflow.log_param("rows", 3)
    mlflow.log_metric("rmse", 1.5)
    mlflow.set_tag("stage", "test")
    mlflow.log_text("hello", "notes/hello.txt")
    model = mlflow.sklearn.log_model(LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), name="model")

mlflow.set_experiment(dbutils.widgets.get("experiment"))
with mlflow.start_run():
    mlflow.log_metric("rmse", 2.5)

try:
    mlflow.register_model(model.model_uri, "main.default.kept")
    refused = ""
except Exception as error:
    refused = str(error)
dbutils.notebook.exit(json.dumps({
    "run": own.info.run_id,
    "artifact_uri": own.info.artifact_uri,
    "experiment": own.info.experiment_id,
    "prediction": float(mlflow.sklearn.load_model(model.model_uri).predict([[2.0]])[0]),
    "text": mlflow.artifacts.load_text(f"{own.info.artifact_uri}/notes/hello.txt"),
    "listed": [item.path for item in mlflow.MlflowClient().list_artifacts(own.info.run_id)],
    "refused": refused,
}))
"""


@pytest.mark.nightly
def test_mlflow_in_a_notebook_logs_to_its_workspace(client: WorkspaceClient) -> None:
    """Its own experiment by default, another by path; runs, metrics, artifacts and models outlive the run."""
    folder = f"/Shared/{uuid.uuid4().hex}"
    client.workspace.mkdirs(folder)
    output, path = run(client, TRACKED, experiment=f"{folder}/other")
    assert output.notebook_output is not None and output.notebook_output.result, output.error_trace
    observed = json.loads(output.notebook_output.result)
    assert observed["prediction"] == pytest.approx(4.0)
    assert (observed["text"], observed["listed"]) == ("hello", ["notes"])
    assert (
        observed["artifact_uri"]
        == f"dbfs:/databricks/mlflow-tracking/{observed['experiment']}/{observed['run']}/artifacts"
    )
    assert "NOT_IMPLEMENTED" in observed["refused"] and "/api/2.0/mlflow/unity-catalog" in observed["refused"]
    logged = client.experiments.get_run(observed["run"]).run
    assert logged is not None and logged.data is not None and logged.info is not None
    assert {(item.key, item.value) for item in logged.data.metrics or []} == {("rmse", 1.5)}
    assert {item.key: item.value for item in logged.data.tags or []}["mlflow.databricks.notebookPath"] == path
    experiment = client.experiments.get_experiment(observed["experiment"]).experiment
    assert experiment is not None and experiment.name == path
    other = client.experiments.get_by_name(f"{folder}/other").experiment
    assert other is not None and other.experiment_id is not None
    (second,) = client.experiments.search_runs(experiment_ids=[other.experiment_id])
    assert second.data is not None and [item.value for item in second.data.metrics or []] == [2.5]


def test_experiments_are_objects_of_the_workspace(client: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="An experiment name must be an absolute path"):
        client.experiments.create_experiment("plain")
    with pytest.raises(ResourceDoesNotExist, match="Workspace directory '/Nowhere' not found"):
        client.experiments.create_experiment("/Nowhere/experiment")
    with pytest.raises(NotImplemented, match=r"GET /api/2\.0/mlflow/registered-models/search"):
        client.api_client.do("GET", "/api/2.0/mlflow/registered-models/search")


@pytest.mark.nightly
def test_a_run_logs_where_its_identity_may_edit(
    azure: AzureSession, resource_group: str, client: WorkspaceClient
) -> None:
    """A notebook's own experiment has the notebook's permissions."""
    identity = azure.put(
        f"{resource_group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id-')}",
        "2023-01-31",
        {"location": "westeurope"},
    )["properties"]["clientId"]
    client.service_principals.create(application_id=identity, display_name="pipeline")
    first = b"# Databricks notebook source\nimport mlflow\nfrom mlflow.utils import databricks_utils\n"
    own = b"mlflow.MlflowClient().create_experiment(databricks_utils.get_notebook_path())\n"
    output, path = run(client, first + own, run_as=identity)
    refusal = f"PERMISSION_DENIED: {identity} does not have CAN_EDIT permission on experiment {path}"
    assert refusal in (output.error or ""), output.error_trace

    # MLflow logs that refusal as a warning, and goes on without an experiment (default_experiment/registry.py).
    output, _ = run(client, first + b"mlflow.start_run()\n", run_as=identity)
    assert "INVALID_PARAMETER_VALUE: Invalid experiment ID 'None'" in (output.error or ""), output.error_trace
