"""Identities of command jobs: the cluster's, the submitter's, and their storage roles."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.ai.ml import Input, command
from azure.ai.ml.entities import ManagedIdentityConfiguration
from azure.core.exceptions import HttpResponseError
from localcloud.testing.azure_session import error_of, unique
from localcloud.testing.job_sources import (
    code,
    error_of_run,
    log_of,
    submit,
)
from localcloud.testing.workspace_session import ML, MlWorkspace
from localcloud.testing.workspace_session import ml as ml


def test_a_job_runs_only_as_the_identity_of_its_cluster(ml: MlWorkspace, tmp_path: Path) -> None:
    source = code(
        tmp_path / "src",
        main="import os\n"
        "from azure.identity import ManagedIdentityCredential\n"
        "import jwt\n"
        "token = ManagedIdentityCredential(client_id=os.environ['DEFAULT_IDENTITY_CLIENT_ID']).get_token(\n"
        "    'https://storage.azure.com/.default').token\n"
        "print('oid=' + jwt.decode(token, options={'verify_signature': False})['oid'])\n"
        "print('names=' + ','.join(sorted(os.environ)))\n",
    )

    name = submit(ml, "python main.py", code=str(source), environment_variables={"MINE": "1"})

    assert ml.finished(name).status == "Completed", error_of_run(ml, name)
    log = log_of(ml, name)
    assert f"oid={ml.identity['principalId']}" in log
    names = set(log.split("names=")[1].strip().split(","))
    assert {"AZUREML_RUN_ID", "AZUREML_ROOT_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MINE"} <= names
    assert not {"AZURE_CLIENT_SECRET", "AZURE_CLIENT_ID", "LOCALCLOUD_HOME", "PULUMI_CONFIG_PASSPHRASE_FILE"} & names


def test_without_a_storage_role_the_job_shows_azure_s_403(ml: MlWorkspace, tmp_path: Path) -> None:
    bare = f"{ml.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-{unique('bare')}"
    client_id = ml.azure.put(bare, "2023-01-31", {"location": "westeurope"})["properties"]["clientId"]
    compute = unique("c")[:12]
    ml.azure.put(
        f"{ml.id}/computes/{compute}", ML,
        {
            "location": "westeurope", "identity": {"type": "UserAssigned", "userAssignedIdentities": {bare: {}}},
            "properties": {
                "computeType": "AmlCompute",
                "properties": {"vmSize": "STANDARD_DS3_V2", "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 1}},
            },
        },
    )  # fmt: skip
    (tmp_path / "in.txt").write_text("x")

    name = submit(
        ml, "cat ${{inputs.data}}", compute=compute,
        inputs={"data": Input(type="uri_file", path=str(tmp_path / "in.txt"))},
    )  # fmt: skip

    assert ml.finished(name).status == "Failed"
    code_, message = error_of_run(ml, name)
    assert code_ == "UserError"
    assert "403 AuthorizationPermissionMismatch" in message
    assert "This request is not authorized to perform this operation using this permission." in message
    assert client_id in message


def test_a_job_gets_tokens_of_every_identity_of_its_cluster_by_client_id_and_of_no_other(
    ml: MlWorkspace, tmp_path: Path
) -> None:
    names = [
        f"{ml.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-{unique('id')}" for _ in range(3)
    ]
    identities = [ml.azure.put(name, "2023-01-31", {"location": "westeurope"})["properties"] for name in names]
    # Jobs read their code as the default identity.
    ml.azure.assign(ml.account_id, "Storage Blob Data Contributor", identities[0]["principalId"])
    compute = unique("c")[:12]
    ml.azure.put(
        f"{ml.id}/computes/{compute}", ML,
        {
            "location": "westeurope",
            "identity": {"type": "UserAssigned", "userAssignedIdentities": {name: {} for name in names[:2]}},
            "properties": {
                "computeType": "AmlCompute",
                "properties": {"vmSize": "STANDARD_DS3_V2", "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 1}},
            },
        },
    )  # fmt: skip
    source = code(
        tmp_path / "src",
        main="import os, sys\n"
        "from azure.core.exceptions import ClientAuthenticationError\n"
        "from azure.identity import ManagedIdentityCredential\n"
        "import jwt\n"
        "print('default=' + os.environ['DEFAULT_IDENTITY_CLIENT_ID'])\n"
        "for client in sys.argv[1:]:\n"
        "    try:\n"
        "        token = ManagedIdentityCredential(client_id=client).get_token('https://ml.azure.com/.default').token\n"
        "        print('oid=' + jwt.decode(token, options={'verify_signature': False})['oid'])\n"
        "    except ClientAuthenticationError as error:\n"
        "        print('refused=' + ' '.join(str(error).split()))\n",
    )
    clients = " ".join(identity["clientId"] for identity in identities)

    name = submit(ml, f"python main.py {clients}", code=str(source), compute=compute)

    assert ml.finished(name).status == "Completed", error_of_run(ml, name)
    lines = log_of(ml, name).strip().splitlines()
    assert lines[0] == f"default={identities[0]['clientId']}", "the first one is the default identity"
    assert lines[1:3] == [f"oid={identity['principalId']}" for identity in identities[:2]]
    # The client logs the refusal too, in lines of its own.
    (refused,) = [line for line in lines if line.startswith("refused=")]
    assert f"this workload may not act as client id '{identities[2]['clientId']}'" in refused


def test_a_cluster_has_one_kind_of_identity(ml: MlWorkspace) -> None:
    identity = {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {ml.identity_id: {}}}
    properties = {"computeType": "AmlCompute", "properties": {"vmSize": "STANDARD_DS3_V2"}}
    body = {"location": "westeurope", "identity": identity, "properties": properties}
    status, code_, message = error_of(ml.azure.arm("PUT", f"{ml.id}/computes/both", ML, body))
    assert (status, code_) == (400, "UserError")
    assert "can have one system-assigned identity or user-assigned identities, not both" in message


def test_an_identity_that_the_cluster_does_not_have_is_refused(ml: MlWorkspace) -> None:
    job = command(
        name=unique("job"), command="true", environment=ml.environment, compute=ml.compute,
        identity=ManagedIdentityConfiguration(client_id="11111111-2222-3333-4444-555555555555"),
    )  # fmt: skip

    with pytest.raises(HttpResponseError, match="is not assigned to compute 'cpu'") as refusal:
        ml.client.jobs.create_or_update(job)

    assert refusal.value.status_code == 400
    assert refusal.value.error is not None
    assert refusal.value.error.code == "UserError"


def test_a_job_without_a_compute_runs_as_its_submitter(ml: MlWorkspace, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("mine")

    name = submit(
        ml, "cat ${{inputs.data}}", compute=None,
        inputs={"data": Input(type="uri_file", path=str(tmp_path / "in.txt"))},
    )  # fmt: skip

    assert ml.finished(name).status == "Completed", error_of_run(ml, name)
    assert log_of(ml, name).strip() == "mine"
