"""Access of runs to storage: Unity Catalog's grants and the access connector's roles decide, or Spark settings."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from azure.identity import DefaultAzureCredential
from azure.storage.filedatalake import DataLakeServiceClient
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import OperationFailed, PermissionDenied
from databricks.sdk.service import catalog as uc
from databricks.sdk.service.workspace import AclPermission
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.databricks_runs import Lakehouse

READ, WRITE = uc.Privilege.READ_FILES, uc.Privilege.WRITE_FILES
NO_KEY = "Invalid configuration value detected for fs.azure.account.key"
READS_AND_WRITES = """
import json

base, source = dbutils.widgets.get("base"), dbutils.widgets.get("source")
rows = spark.read.csv(f"{source}/rows.csv", header=True, schema="a INT, b DOUBLE", mode="FAILFAST")
for _ in range(2):
    rows.dropna().write.mode("overwrite").parquet(f"{base}/deep/out")
rows.write.partitionBy("a").parquet(f"{base}/parts")
dbutils.fs.mv(f"{base}/parts", f"{base}/moved/parts", True)
dbutils.fs.mkdirs(f"{base}/gone/deep")
dbutils.fs.rm(f"{base}/gone", True)
dbutils.fs.put(f"{base}/note.txt", "hello", True)

# COMMAND ----------

kept = spark.read.parquet(f"{base}/deep/out")
moved = [item.name for item in dbutils.fs.ls(f"{base}/moved/parts") if item.isDir()]
dbutils.notebook.exit(json.dumps({
    "kept": [list(row) for row in kept.collect()], "moved": sorted(moved),
    "names": sorted(item.name for item in dbutils.fs.ls(base)), "note": dbutils.fs.head(f"{base}/note.txt"),
}))
"""
TRIES = """
import json

def attempt(call):
    try:
        call()
        return "done"
    except Exception as error:
        return str(error)

tries = json.loads(dbutils.widgets.get("tries"))
calls = {
    "read": lambda url: spark.read.csv(url).collect(),
    "write": lambda url: spark.range(3).write.mode("append").parquet(url),
    "list": lambda url: dbutils.fs.ls(url),
    "delete": lambda url: dbutils.fs.rm(url, True),
}
dbutils.notebook.exit(json.dumps([attempt(lambda: calls[verb](url)) for verb, url in tries]))
"""


@pytest.fixture
def lakehouse(azure: AzureSession, group: str) -> Iterator[Lakehouse]:
    """Make a lakehouse with a file for each test in data/in, written by the deployer."""
    lakehouse = Lakehouse.make(azure, group)
    azure.assign(lakehouse.account_id, "Storage Blob Data Contributor", azure.object_id)
    files = DataLakeServiceClient(f"https://{lakehouse.account}.dfs.core.windows.net", DefaultAzureCredential())
    for container in ("data", "other"):
        files.get_file_client(container, "in/rows.csv").upload_data(b"a,b\n1,2.5\n3,\n", overwrite=True)
    yield lakehouse
    for location in lakehouse.client.external_locations.list():
        lakehouse.client.external_locations.delete(str(location.name), force=True)
    for credential in lakehouse.client.storage_credentials.list():
        lakehouse.client.storage_credentials.delete(str(credential.name), force=True)


def tried(lakehouse: Lakehouse, *tries: tuple[str, str]) -> list[str]:
    """Return the end of each attempt: "done" or the error."""
    outcome = lakehouse.run(TRIES, {"tries": json.dumps(tries)})
    assert outcome.value is not None, outcome.trace
    outcomes: list[str] = json.loads(outcome.value)
    return outcomes


@pytest.mark.nightly
def test_a_cluster_has_no_identity_of_its_own_for_storage(azure: AzureSession, lakehouse: Lakehouse) -> None:
    """The run's identity has the role, which is of no use to its cluster: neither without Unity Catalog nor with it."""
    azure.assign(lakehouse.account_id, "Storage Blob Data Contributor", lakehouse.object_id)
    parameters = {"base": lakehouse.url("out"), "source": lakehouse.url("in")}
    outcome = lakehouse.run(READS_AND_WRITES, parameters)
    assert NO_KEY in outcome.error, outcome.error[:2000]
    lakehouse.open_for_connector()
    lakehouse.locate("", READ, WRITE)
    outcome = lakehouse.run(READS_AND_WRITES, parameters, mode=None)
    assert NO_KEY in outcome.error, "a cluster without an access mode has no Unity Catalog"


@pytest.mark.nightly
def test_grants_on_locations_open_their_locations(azure: AzureSession, lakehouse: Lakehouse) -> None:
    lakehouse.open_for_connector()
    source, target = lakehouse.locate("in"), lakehouse.locate("out", READ, WRITE)
    parameters = {"base": lakehouse.url("out"), "source": lakehouse.url("in")}
    refused = lakehouse.run(READS_AND_WRITES, parameters)
    assert f"PERMISSION_DENIED: User does not have READ FILES on External Location '{source}'" in refused.error, refused
    lakehouse.grant(source, READ)
    run = lakehouse.run(READS_AND_WRITES, parameters)
    assert run.value is not None, run.trace
    assert json.loads(run.value) == {
        "kept": [[1, 2.5]], "moved": ["a=1/", "a=3/"], "names": ["deep/", "moved/", "note.txt"], "note": "hello",
    }  # fmt: skip
    no_write = f"PERMISSION_DENIED: User does not have WRITE FILES on External Location '{source}'"
    elsewhere = f"{NO_KEY}. No external location holds the path"
    outcomes = tried(
        lakehouse,
        ("write", lakehouse.url("in/more")),
        ("delete", lakehouse.url("in/rows.csv")),
        ("write", lakehouse.url("output")),
        ("list", lakehouse.url("")),
        ("list", lakehouse.url("out/../in")),
        ("read", lakehouse.url("in/rows.csv", "other")),
    )
    assert [no_write in outcomes[0], no_write in outcomes[1]] == [True, True], outcomes
    assert [elsewhere in text for text in outcomes[2:4]] == [True, True], (
        "a folder whose name only begins like another's"
    )
    assert outcomes[4] == "done", "ABFS resolves dots itself: it is a list of in/"
    assert elsewhere in outcomes[5], outcomes[5]
    lakehouse.take(target, WRITE)
    (ended,) = tried(lakehouse, ("write", lakehouse.url("out/late")))
    assert f"User does not have WRITE FILES on External Location '{target}'" in ended


@pytest.mark.nightly
def test_the_access_connector_s_roles_and_the_firewall_decide_too(azure: AzureSession, lakehouse: Lakehouse) -> None:
    lakehouse.open_for_connector()
    lakehouse.locate("in", READ, WRITE)
    delegator, contributor = (
        next(
            assignment["id"]
            for assignment in lakehouse.assignments(scope)
            if assignment["properties"]["scope"] == scope
        )
        for scope in (lakehouse.account_id, lakehouse.container_id)
    )
    azure.arm("DELETE", contributor, "2022-04-01")
    read = ("read", lakehouse.url("in/rows.csv"))
    (refused,) = tried(lakehouse, read)
    assert "AccessDeniedException" in refused and "403" in refused, refused
    azure.assign(lakehouse.container_id, "Storage Blob Data Contributor", lakehouse.connector)
    azure.arm("DELETE", delegator, "2022-04-01")
    (refused,) = tried(lakehouse, read)
    assert "Managed Identity does not have READ permissions on url" in refused, refused
    azure.assign(lakehouse.account_id, "Storage Blob Delegator", lakehouse.connector)
    assert tried(lakehouse, read) == ["done"]
    shut = {"publicNetworkAccess": "Disabled", "networkAcls": {"defaultAction": "Deny", "bypass": "AzureServices"}}
    account = azure.arm("GET", lakehouse.account_id, "2024-01-01").json()
    body = {name: account[name] for name in ("location", "kind", "sku")}
    azure.put(lakehouse.account_id, "2024-01-01", {**body, "properties": {**account["properties"], **shut}})
    (refused,) = tried(lakehouse, read)
    assert "AccessDeniedException" in refused and "403" in refused, "the cluster itself has to reach the account"


@pytest.mark.nightly
def test_managed_storage_is_not_reached_by_path(lakehouse: Lakehouse) -> None:
    lakehouse.open_for_connector()
    lakehouse.locate("", READ, WRITE)
    name = f"cat_{lakehouse.account}"
    lakehouse.client.catalogs.create(name, storage_root=lakehouse.url("managed"))
    try:
        managed = str(lakehouse.client.catalogs.get(name).storage_location)
        outcomes = tried(
            lakehouse,
            ("write", f"{managed}/tables/mine"),
            ("list", lakehouse.url("managed")),
            ("write", lakehouse.url("beside/it")),
            ("read", lakehouse.url("in/rows.csv")),
        )
    finally:
        lakehouse.client.catalogs.delete(name, force=True)
    assert f"Input path url '{managed}/tables/mine" in outcomes[0] and "overlaps with managed storage" in outcomes[0], (
        outcomes
    )
    assert "overlaps with managed storage" in outcomes[1]
    assert outcomes[2:] == ["done", "done"]


@pytest.mark.nightly
def test_spark_settings_of_the_cluster_are_an_alternative_to_grants(azure: AzureSession, lakehouse: Lakehouse) -> None:
    """A service principal by its secret (learn.microsoft.com/azure/databricks/connect/storage/azure-storage)."""
    client = lakehouse.client
    client.secrets.create_scope("platform")
    client.secrets.put_secret("platform", "reader", string_value=os.environ["AZURE_CLIENT_SECRET"])
    client.secrets.put_acl("platform", lakehouse.client_id, permission=AclPermission.READ)
    host = f"{lakehouse.account}.dfs.core.windows.net"
    tenant = os.environ["AZURE_TENANT_ID"]
    conf = {
        f"fs.azure.account.auth.type.{host}": "OAuth",
        f"fs.azure.account.oauth.provider.type.{host}": (
            "org.apache.hadoop.fs.azurebfs.oauth2.ClientCredsTokenProvider"
        ),
        f"fs.azure.account.oauth2.client.id.{host}": os.environ["AZURE_CLIENT_ID"],
        f"fs.azure.account.oauth2.client.secret.{host}": "{{secrets/platform/reader}}",
        f"fs.azure.account.oauth2.client.endpoint.{host}": f"https://login.microsoftonline.com/{tenant}/oauth2/token",
    }
    parameters = {"base": lakehouse.url("out"), "source": lakehouse.url("in")}
    run = lakehouse.run(READS_AND_WRITES, parameters, spark_conf=conf)
    assert run.value is not None and json.loads(run.value)["kept"] == [[1, 2.5]], run.trace


@pytest.mark.nightly
def test_a_dedicated_cluster_is_for_its_own_identity(lakehouse: Lakehouse) -> None:
    other = os.environ["AZURE_CLIENT_ID"]
    with pytest.raises(OperationFailed, match=r"Single-user check failed: user '.*' attempted to run") as caught:
        lakehouse.run("dbutils.notebook.exit('in')", single_user_name=other)
    assert f"the single user of this cluster is '{other}'" in str(caught.value)
    assert lakehouse.run("dbutils.notebook.exit('in')", single_user_name=lakehouse.client_id).value == "in"


@pytest.mark.nightly
def test_a_token_for_another_service_does_not_open_the_workspace(azure: AzureSession, lakehouse: Lakehouse) -> None:
    token = azure.credential.get_token("https://management.azure.com/.default").token
    with pytest.raises(Exception, match="Invalid access token") as caught:
        WorkspaceClient(host=lakehouse.client.config.host, token=token, auth_type="pat").current_user.me()
    assert not isinstance(caught.value, PermissionDenied), "401, not 403: the token itself is refused"
